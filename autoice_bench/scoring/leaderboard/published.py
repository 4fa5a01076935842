"""Published results, typed in from their papers: shown beside submissions, never ranked.

``published.csv`` holds each figure's source and whether its protocol is comparable: ``yes`` (same
test scenes and metrics), ``no``, or ``unknown`` (the source does not say).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

BOARDS: Final = {
    "official-test": "official",
    "cross-region": "cross-region",
    "random-validation": "random-validation",
}
"""Evaluation in ``published.csv`` to the leaderboard it stands beside."""


@dataclass(frozen=True)
class PublishedResult:
    """One published row; scores in percent, None where the source gives none.

    Attributes:
        system, variant: the model.
        board: leaderboard it stands beside, such as ``official``.
        n_runs: runs averaged.
        sic_r2, sod_f1, floe_f1, combined: scores, percent.
        combined_std: standard deviation of ``combined`` over the runs.
        source: where it was published.
        comparable: ``yes``, ``no`` or ``unknown``.
        note: remarks.
    """

    system: str
    variant: str
    features: str
    rates: str
    board: str
    n_runs: int
    sic_r2: float | None
    sod_f1: float | None
    floe_f1: float | None
    combined: float | None
    combined_std: float | None
    source: str
    comparable: str
    note: str

    verified: Final = False

    @property
    def name(self) -> str:
        """System, variant and dilation rates."""
        parts = [part for part in (self.system, self.variant) if part]
        if self.rates:
            parts.append(f"rates {self.rates.strip('[]')}")
        return ", ".join(dict.fromkeys(parts))

    @property
    def scores(self) -> dict[str, float | None]:
        """Scores by leaderboard column."""
        return {
            "combined": self.combined,
            "SIC": self.sic_r2,
            "SOD": self.sod_f1,
            "FLOE": self.floe_f1,
        }


@cache
def read_published() -> tuple[PublishedResult, ...]:
    """Every published result, in the order of the file."""
    return tuple(_parse())


def best_of_each_system(results: tuple[PublishedResult, ...]) -> tuple[PublishedResult, ...]:
    """The row of each system with the highest combined score (else SOD), best first."""

    def key(result: PublishedResult) -> tuple[float, float]:
        return (result.combined or -1.0, result.sod_f1 or -1.0)

    best: dict[str, PublishedResult] = {}
    for result in sorted(results, key=key, reverse=True):
        best.setdefault(result.system, result)
    return tuple(best.values())


def _number(text: str) -> float | None:
    return float(text) if text else None


def _parse() -> Iterator[PublishedResult]:
    content = files(__package__).joinpath("published.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(content.splitlines()):
        yield PublishedResult(
            system=row["system"],
            variant=row["variant"],
            features=row["features"],
            rates=row["rates"],
            board=BOARDS[row["split"]],
            n_runs=int(row["n_runs"]),
            sic_r2=_number(row["sic_r2"]),
            sod_f1=_number(row["sod_f1"]),
            floe_f1=_number(row["floe_f1"]),
            combined=_number(row["combined"]),
            combined_std=_number(row["combined_std"]),
            source=row["source"],
            comparable=row["comparable"],
            note=row["note"],
        )
