"""Where the panels of a picture stand, in inches from its upper left corner. Pure functions.

Rows are charts (SIC, SOD, FLOE); columns are channels, then the chart, its prediction, a colour key
and the errors with theirs. So a chart, its prediction and its errors stand side by side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

N_ROWS: Final = 3

_PANEL_AREA: Final = 3.4**2
_SHORTEST_SIDE: Final = 2.75
"""A colour key of 15 lines must stand beside a panel."""

_LONGEST_SIDE: Final = 5.5

_LEFT: Final = 0.72
_TOP: Final = 0.84
"""Room for the title above and the first row's titles."""

HEADING_LINE: Final = 0.21
FOOTER_LINE: Final = 0.16
_BOTTOM: Final = 0.62
_ROW_GAP: Final = 0.5
_COLUMN_GAP: Final = 0.18
_BAR: Final = 0.86
"""Room for a colour bar and its numbers."""

_KEY: Final = 1.62
"""A colour and its name; `thick first-year ice` is the longest."""

KEY_NUMBER: Final = 0.54
"""A column of percentages."""
_RIGHT: Final = 0.1


class Box(NamedTuple):
    """A rectangle: left and top edge, width and height, in inches."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """Size of a picture and the places of its parts.

    Attributes:
        width, height: of the picture, inches.
        channels: one box per channel.
        charts, predictions, keys, errors, error_keys: one box per chart; empty where the picture
            has none.
    """

    width: float
    height: float
    channels: tuple[Box, ...]
    charts: tuple[Box, ...] = ()
    predictions: tuple[Box, ...] = ()
    keys: tuple[Box, ...] = ()
    errors: tuple[Box, ...] = ()
    error_keys: tuple[Box, ...] = ()


def panel_size(lines: int, samples: int) -> tuple[float, float]:
    """Width and height of a panel in the proportions of the window, as far as they are sensible.

    Panels have equal areas, but no side is too short for what stands beside it, and none too long.
    """
    shorter, longer = sorted((lines, samples))
    short = max((_PANEL_AREA * shorter / longer) ** 0.5, _SHORTEST_SIDE)
    long = min(short * longer / shorter, _LONGEST_SIDE)
    return (short, long) if samples < lines else (long, short)


def arrange(
    lines: int,
    samples: int,
    n_channels: int,
    *,
    charts: bool,
    predictions: bool,
    heading_lines: int = 1,
    footer_lines: int = 1,
) -> Layout:
    """Arrange the panels.

    Args:
        lines, samples: size of the window shown.
        n_channels: channels, at least 1.
        charts: whether there are charts.
        predictions: whether there are predictions.
        heading_lines, footer_lines: lines of text below the title, and below the panels.
    """
    width, height = panel_size(lines, samples)
    top = _TOP + HEADING_LINE * heading_lines
    if charts or predictions:
        n_columns = -(-n_channels // N_ROWS)
    else:
        n_columns = math.ceil(math.sqrt(n_channels))
    n_rows = N_ROWS if charts or predictions else -(-n_channels // n_columns)
    tops = [top + row * (height + _ROW_GAP) for row in range(n_rows)]
    channels = tuple(
        Box(_LEFT + (at % n_columns) * (width + _BAR), tops[at // n_columns], width, height)
        for at in range(n_channels)
    )
    left = _LEFT + n_columns * (width + _BAR)
    columns: dict[str, tuple[Box, ...]] = {}
    key = _KEY + KEY_NUMBER * (int(charts) + int(charts and predictions))
    for name, wanted, size in (
        ("charts", charts, width),
        ("predictions", predictions, width),
        ("keys", charts or predictions, key),
        ("errors", charts and predictions, width),
        ("error_keys", charts and predictions, _KEY + KEY_NUMBER),
    ):
        if wanted:
            columns[name] = tuple(Box(left, row, size, height) for row in tops)
            left += size + _COLUMN_GAP
    bottom = tops[-1] + height + _BOTTOM + FOOTER_LINE * footer_lines
    return Layout(left + _RIGHT, bottom, channels, **columns)
