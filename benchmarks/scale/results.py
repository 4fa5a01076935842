"""One page of results with a section for each part, written one at a time."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from benchmarks import measure

TITLE: Final = "# What large things cost"


def write_section(name: str, text: str) -> Path:
    """Replace or add one section of benchmarks/results/scale.md; the others stay.

    Args:
        name: of the part, its heading.
        text: what stands below it; the machine and the date go first.
    """
    measure.RESULTS.mkdir(exist_ok=True)
    path = measure.RESULTS / "scale.md"
    sections = _read_sections(path.read_text(encoding="utf-8")) if path.exists() else {}
    sections[name] = f"{measure.describe_machine()}\n\n{text.strip()}"
    page = [TITLE, *(f"## {each}\n\n{sections[each]}" for each in sorted(sections))]
    path.write_text("\n\n".join(page) + "\n", encoding="utf-8")
    return path


def _read_sections(page: str) -> dict[str, str]:
    _, *parts = re.split(r"^## ", page, flags=re.MULTILINE)
    return {name: text.strip() for name, _, text in (part.partition("\n") for part in parts)}
