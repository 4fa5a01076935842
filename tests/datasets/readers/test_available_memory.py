from pathlib import Path

import pytest

from autoice_bench.datasets.readers import available_memory
from autoice_bench.datasets.readers.available_memory import available_bytes


def test_the_smaller_of_machine_and_group_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:  2000 kB\n")
    monkeypatch.setattr(available_memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(available_memory, "_CGROUP", tmp_path)
    assert available_bytes() == 2000 * 1024
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("anon 500000\ninactive_file 200000\n")
    assert available_bytes() == 500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_bytes() == 2000 * 1024
    monkeypatch.setattr(available_memory, "_MEMINFO", tmp_path / "nothing")
    assert available_bytes() is None
