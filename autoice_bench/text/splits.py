"""Splits in words."""

from __future__ import annotations

from collections.abc import Sequence

from autoice_bench.formats.split_file import Split


def format_splits(splits: Sequence[Split]) -> str:
    """A table for people: name, number of scenes on each side, short hash and rule."""
    width = max((len(split.name) for split in splits), default=4)
    header = f"{'name':<{width}}  train   val  test  hash      rule"
    rows = [
        f"{split.name:<{width}}  {len(split.train):>5} {len(split.val):>5} {len(split.test):>5}"
        f"  {split.hash[:8]}  {split.rule}"
        for split in splits
    ]
    return "\n".join([header, *rows])
