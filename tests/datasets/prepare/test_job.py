"""Faults of a source file are the scene's, so that ``--on-error skip`` can go on without it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from autoice_bench.datasets.prepare import job as scene_job
from autoice_bench.datasets.prepare.job import read_digests_of, read_times_of
from autoice_bench.datasets.prepare.prepare import prepare
from autoice_bench.datasets.store.index import SourceTimes
from autoice_bench.datasets.store.scene_writer import FileDigest, read_digest
from autoice_bench.errors import SceneError
from autoice_bench.formats.rtt_folder import find_scenes
from tests.datasets.rtt_file_writer import SCENE_ID, make_content, write_scene_file


def test_times_and_digests_of_scene_and_reference(tmp_path: Path) -> None:
    content = make_content()
    scene = write_scene_file(
        tmp_path, content, reference=content.only("SIC", "SOD", "FLOE"), subset="test"
    )
    assert scene.reference is not None
    assert read_times_of(scene) == SourceTimes(
        scene.path.stat().st_mtime_ns, scene.reference.stat().st_mtime_ns
    )
    assert read_digests_of(scene) == (read_digest(scene.path), read_digest(scene.reference))
    alone = replace(scene, reference=None)
    assert read_times_of(alone).reference_mtime_ns is None
    assert read_digests_of(alone)[1] is None


def test_source_that_is_gone(tmp_path: Path) -> None:
    scene = write_scene_file(tmp_path, make_content())
    scene.path.unlink()
    for read in (read_times_of, read_digests_of):
        with pytest.raises(SceneError, match=f"scene {SCENE_ID}: its source cannot be read: .*No "):
            read(scene)


def test_disk_error_of_a_source_is_skipped(
    rtt_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = find_scenes(rtt_source).scenes[2]

    def read(path: Path) -> FileDigest:
        if path == bad.path:
            raise OSError(5, "Input/output error", str(path))
        return read_digest(path)

    monkeypatch.setattr(scene_job, "read_digest", read)
    report = prepare(rtt_source, tmp_path / "s.zarr", workers=1, on_error="skip")
    assert list(report.failed) == [bad.scene_id]
    assert "its source cannot be read: [Errno 5] Input/output error" in report.failed[bad.scene_id]
    assert len(report.written) == 5
