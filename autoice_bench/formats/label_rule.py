"""Which rule made the labels: its name and its dominance thresholds (docs/labels.md).

A store records it, the truth fingerprint is taken over it, and a submission repeats it; how labels
follow from egg codes is in ``datasets.labels``.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, Literal, get_args

from autoice_bench.errors import LabelError

RuleName = Literal["autoice-2022", "dominant-sum"]

RULE_NAMES: Final[tuple[RuleName, ...]] = get_args(RuleName)


@dataclass(frozen=True)
class LabelRule:
    """A named label rule with its thresholds.

    Attributes:
        name: ``autoice-2022`` or ``dominant-sum``.
        sod_threshold, floe_threshold: share of the total concentration, in whole percent, from
            which (inclusive) a type is dominant; 1 to 100.

    Raises:
        LabelError: an unknown name, or a threshold outside 1 to 100.
    """

    name: RuleName = "autoice-2022"
    sod_threshold: int = 65
    floe_threshold: int = 65

    def __post_init__(self) -> None:
        if self.name not in RULE_NAMES:
            raise LabelError(f"label rule {self.name!r}; expected {' or '.join(RULE_NAMES)}")
        for name in ("sod_threshold", "floe_threshold"):
            if not 1 <= getattr(self, name) <= 100:
                raise LabelError(
                    f"{name} is {getattr(self, name)}; expected whole percent from 1 to 100"
                )

    def __str__(self) -> str:
        return f"{self.name}, SOD {self.sod_threshold} %, FLOE {self.floe_threshold} %"


AUTOICE_2022: Final = LabelRule()
"""The rule behind the charts in the released ready-to-train files."""

DOMINANT_SUM: Final = LabelRule("dominant-sum")
"""The stated definition, at the released thresholds."""


def parse_threshold(text: str) -> int:
    """Read a threshold as whole percent, from ``65`` or from the share ``0.65``.

    Raises:
        LabelError: ``text`` is neither; thresholds finer than a percent are not supported.
    """
    number = text.strip()
    is_share = "." in number
    try:
        percent = Decimal(number) * (100 if is_share else 1)
    except InvalidOperation:
        percent = Decimal("NaN")
    if not (percent.is_finite() and percent == int(percent) and 1 <= percent <= 100):
        raise LabelError(
            f"threshold {text!r}; expected whole percent from 1 to 100 (65) or that share (0.65)"
        )
    return int(percent)
