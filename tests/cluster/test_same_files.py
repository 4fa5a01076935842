"""Stamps of files: the same here and there, or told by name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autoice_bench.cluster.same_files import require_same_files, stamp_files
from autoice_bench.errors import ClusterError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "folder" / "a").write_bytes(b"a" * 200_000)
    (tmp_path / "folder" / "inner" / "b").write_bytes(b"b")
    return tmp_path / "folder"


def test_files_of_folders_are_stamped(folder: Path) -> None:
    stamps = stamp_files([folder, folder / "a", folder / "none"])
    assert [(Path(stamp.path).name, stamp.n_bytes) for stamp in stamps] == [
        ("a", 200_000),
        ("b", 1),
        ("none", -1),
    ]
    require_same_files(stamps, "worker")


def test_link_and_its_target_are_one_file(folder: Path) -> None:
    (stamp,) = stamp_files([folder / "a"])
    (folder / "a").rename(folder / "moved")
    (folder / "a").symlink_to("moved")
    require_same_files([stamp], "worker")


@pytest.mark.parametrize("change", ["size", "head", "tail", "time", "gone"])
def test_another_file_is_told(folder: Path, change: str) -> None:
    path = folder / "a"
    stamps = stamp_files([folder])
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    if change == "size":
        path.write_bytes(b"a" * 200_001)
    elif change == "head":
        path.write_bytes(b"x" + b"a" * 199_999)
    elif change == "tail":
        path.write_bytes(b"a" * 199_999 + b"x")
    if change == "gone":
        path.unlink()
    else:
        late = 10_000_000_000 if change == "time" else 0
        os.utime(path, ns=(times[0], times[1] + late))
    with pytest.raises(ClusterError, match=f"worker on node3 sees other files: {path} is .* there"):
        require_same_files(stamps, "worker on node3")


def test_times_may_be_rounded(folder: Path) -> None:
    stamps = stamp_files([folder])
    changed = (folder / "a").stat().st_mtime_ns
    os.utime(folder / "a", ns=(changed, changed - changed % 1_000_000_000))
    require_same_files(stamps, "worker")
