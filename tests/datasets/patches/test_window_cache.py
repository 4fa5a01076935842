"""Windows from the cache are those that are found without it, whatever lies in the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from autoice_bench.datasets.patches import window_cache
from autoice_bench.datasets.patches.eligible import NO_WINDOWS, EligibleWindows, find_windows
from autoice_bench.datasets.patches.opening import open_patches
from autoice_bench.datasets.patches.window_cache import WindowCache, open_window_cache
from autoice_bench.datasets.readers.scene import SceneReader, open_scene_reader
from autoice_bench.datasets.store.root import open_store
from tests.datasets.store_tools import copy_store

PATCH, REQUIRED = 64, 3000


@pytest.fixture
def store(prepared_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    store = copy_store(prepared_store, tmp_path)
    shutil.rmtree(store / ".cache", ignore_errors=True)  # of a training in another test
    return store


@pytest.fixture
def scene(store: Path) -> SceneReader:
    return open_scene_reader(store, open_store(store).scene_ids()[0])


@pytest.fixture
def cache(store: Path) -> WindowCache:
    return open_window_cache(open_store(store))


def are_same(one: EligibleWindows, other: EligibleWindows) -> bool:
    return all(
        a.dtype == b.dtype and np.array_equal(a, b)
        for a, b in (
            (one.line, other.line),
            (one.first_sample, other.first_sample),
            (one.end, other.end),
        )
    )


def only_file(folder: Path) -> Path:
    (path,) = (path for path in folder.rglob("*") if path.is_file())
    return path


def refuse_to_look(*_: object) -> EligibleWindows:
    raise AssertionError("looked for again")


def test_the_second_start_does_not_look(
    store: Path, cache: WindowCache, scene: SceneReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = find_windows(scene, PATCH, REQUIRED)
    assert len(expected) > 100
    assert are_same(cache.find(scene, PATCH, REQUIRED), expected)
    assert only_file(store / ".cache").parent.name == f"{PATCH}-{REQUIRED}"
    monkeypatch.setattr(window_cache, "find_windows", refuse_to_look)
    assert are_same(cache.find(scene, PATCH, REQUIRED), expected)
    for patch_size, required in ((PATCH, REQUIRED + 1), (PATCH + 1, REQUIRED)):
        with pytest.raises(AssertionError, match="looked for again"):
            cache.find(scene, patch_size, required)


def test_no_windows_are_kept_too(cache: WindowCache, scene: SceneReader) -> None:
    for _ in range(2):
        assert are_same(cache.find(scene, PATCH, PATCH**2 + 1), NO_WINDOWS)


def test_every_flipped_bit_is_found(store: Path, cache: WindowCache, scene: SceneReader) -> None:
    expected = cache.find(scene, PATCH, REQUIRED)
    path = only_file(store / ".cache")
    content = path.read_bytes()
    for at in range(0, len(content), max(1, len(content) // 50)):
        damaged = bytearray(content)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)
        assert are_same(cache.find(scene, PATCH, REQUIRED), expected)
        assert path.read_bytes() == content  # written anew
    for other in (b"", content[:20], content[:-1], content + b"x"):
        path.write_bytes(other)
        assert are_same(cache.find(scene, PATCH, REQUIRED), expected)


def test_a_file_of_another_scene_or_rule_is_not_believed(
    store: Path, cache: WindowCache, scene: SceneReader
) -> None:
    expected = cache.find(scene, PATCH, REQUIRED)
    path = only_file(store / ".cache")
    shutil.rmtree(store / ".cache")
    cache.find(scene, PATCH, REQUIRED - 500)
    other = only_file(store / ".cache")
    path.parent.mkdir()
    shutil.move(other, path)
    assert are_same(cache.find(scene, PATCH, REQUIRED), expected)
    assert not are_same(cache.find(scene, PATCH, REQUIRED - 500), expected)


@pytest.mark.parametrize(
    "runs",
    [
        [(0, 0, 10**6)],  # beyond the scene
        [(-1, 0, 5)],
        [(0, -1, 5)],
        [(10**6, 0, 5)],
        [(0, 0, 0)],
        [(3, 0, 5), (2, 0, 5)],  # not in order
        [(3, 0, 5), (3, 4, 5)],  # over each other
    ],
)
def test_windows_outside_the_scene_are_not_believed_though_their_digest_is_right(
    store: Path, cache: WindowCache, scene: SceneReader, runs: list[tuple[int, int, int]]
) -> None:
    expected = cache.find(scene, PATCH, REQUIRED)
    line, first, length = np.array(runs).T
    forged = EligibleWindows(line.astype(np.int32), first.astype(np.int32), length.cumsum())
    key = cache._key(scene, PATCH, REQUIRED)
    only_file(store / ".cache").write_bytes(window_cache._encode(forged, key))
    assert are_same(cache.find(scene, PATCH, REQUIRED), expected)


def test_a_scene_that_changed_has_another_key(
    store: Path, cache: WindowCache, scene: SceneReader
) -> None:
    cache.find(scene, PATCH, REQUIRED)
    scene.sha256 = hashlib.sha256(b"another").hexdigest()
    cache.find(scene, PATCH, REQUIRED)
    other = WindowCache("0" * 64, cache.folders)
    other.find(scene, PATCH, REQUIRED)
    assert len([path for path in (store / ".cache").rglob("*") if path.is_file()]) == 3


def test_a_store_that_takes_nothing_leaves_it_to_the_users_cache(
    store: Path, cache: WindowCache, scene: SceneReader, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (store / ".cache").symlink_to(elsewhere)  # as read-only: nothing is written through a link
    expected = find_windows(scene, PATCH, REQUIRED)
    assert are_same(cache.find(scene, PATCH, REQUIRED), expected)
    assert list(elsewhere.iterdir()) == []
    assert only_file(tmp_path / "user" / "autoice-bench")
    (tmp_path / "user").rename(tmp_path / "gone")
    (tmp_path / "user").write_text("no folder")
    assert are_same(cache.find(scene, PATCH, REQUIRED), expected)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_store(store: Path, cache: WindowCache, scene: SceneReader) -> None:
    store.chmod(0o555)
    try:
        cache.find(scene, PATCH, REQUIRED)
        assert not (store / ".cache").exists()
    finally:
        store.chmod(0o755)


def test_no_home_and_no_fingerprint(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    opened = open_store(store)
    assert open_window_cache(opened).folders == (store / ".cache" / "windows",)
    object.__setattr__(opened, "fingerprint", None)
    assert open_window_cache(opened).folders == ()


def test_patches_are_the_same_with_and_without(store: Path) -> None:
    ids = open_store(store).scene_ids()
    arrays = frozenset({"sar", "charts"})

    def draw() -> list[tuple[str, int, int]]:
        plan = open_patches(store, ids, patch_size=PATCH, seed=3, arrays=arrays).plan
        patches = [plan.draw(1, index) for index in range(len(plan))]
        return [(patch.scene_id, patch.line, patch.sample) for patch in patches]

    first = draw()
    assert len(list((store / ".cache" / "windows").iterdir())) == 1
    assert draw() == first
    shutil.rmtree(store / ".cache")
    assert draw() == first
