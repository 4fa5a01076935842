"""Facts that the code must agree with, kept as compressed tables (tests/data/README.md)."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Final

import pandas as pd

DATA: Final = Path(__file__).parent / "data"

LABEL_CASES: Final = DATA / "label_cases.csv.gz"
SCENES: Final = DATA / "scenes.csv.gz"
PUBLISHED_SCORES: Final = DATA / "published_scores.csv.gz"


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of an oracle, every value as the text that is in the file."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_released_scenes() -> pd.DataFrame:
    """A scene table of the released scenes; satellites and footprints are not in it."""
    table = pd.read_csv(SCENES).rename(columns={"split": "subset"})
    times = pd.to_datetime(table["scene_id"].str[:15], format="%Y%m%dT%H%M%S", utc=True)
    return table.assign(acquisition_time=times, has_charts=table["SIC_0"].notna())
