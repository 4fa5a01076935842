"""``python -m benchmarks.scale PART``: measure one part and write its section."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

from benchmarks.scale import leaderboard, store
from benchmarks.scale.results import write_section

PARTS: Final[dict[str, ModuleType]] = {"leaderboard": leaderboard, "store": store}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parts = parser.add_subparsers(dest="part", metavar="PART", required=True)
    for name, module in PARTS.items():
        part = parts.add_parser(name, description=module.__doc__, help=module.DESCRIPTION)
        part.add_argument("--work", type=Path, help="folder to keep what is made in between runs")
        part.add_argument("--repeats", type=int, default=3, help="runs per row; the median counts")
        module.add_options(part)
    options = parser.parse_args(arguments)
    module = PARTS[options.part]
    with tempfile.TemporaryDirectory() as temporary:
        options.work = options.work or Path(temporary)
        section = module.run(options)
    print(write_section(options.part, section).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
