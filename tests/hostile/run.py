"""Try hostile inputs by hand: ``python -m tests.hostile.run [TARGET] [SEED] [COUNT]``.

With a target and a seed that one input is tried and what is found is printed whole; with a count,
as many from there on; without a seed, the first thousand. Without a target, every one of them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from tests.hostile.fuzzing.cases import Finding
from tests.hostile.fuzzing.server import open_fuzzer


def group(findings: Iterable[Finding]) -> dict[tuple[str, str, str], list[Finding]]:
    """Findings of one fault together: by target, kind and signature."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        key = (finding.target, finding.kind, finding.signature)
        groups.setdefault(key, []).append(finding)
    return groups


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("target", nargs="?", default="all")
    parser.add_argument("first", nargs="?", type=int, help="seed")
    parser.add_argument("count", nargs="?", type=int, help="how many seeds from there on")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--out", type=Path, help="append every finding to this file, as JSON lines")
    options = parser.parse_args()
    from tests.hostile.fuzzing.targets import TARGETS

    names = list(TARGETS) if options.target == "all" else [options.target]
    count = options.count or (1000 if options.first is None else 1)
    found: list[Finding] = []
    with open_fuzzer() as fuzzer:
        for name in names:
            started = time.monotonic()
            new = fuzzer.try_seeds(name, options.first or 0, count, options.jobs)
            seconds = time.monotonic() - started
            took = f"{seconds:.1f} s ({fuzzer.cpu_seconds:.1f} s of the processors)"
            print(f"{name}: {count} inputs in {took}, {len(new)} findings", flush=True)
            found += new
            if options.out is not None:
                with options.out.open("a") as file:
                    file.writelines(json.dumps(each.to_dict()) + "\n" for each in new)
    for members in group(found).values():
        print(f"{len(members)} x {members[0]}")
        if count == 1:
            print(members[0].detail)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
