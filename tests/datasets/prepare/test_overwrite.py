"""`prepare --overwrite`: the old stays until the new is ready, whatever happens in between."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any, Literal

import pytest
from click.testing import CliRunner

from autoice_bench.cli import main
from autoice_bench.datasets.checks.verify import verify_store
from autoice_bench.datasets.prepare import prepare as prepare_module
from autoice_bench.datasets.prepare.holding import Part
from autoice_bench.datasets.prepare.job import SceneResult
from autoice_bench.datasets.prepare.prepare import prepare
from autoice_bench.datasets.prepare.replacement import replacement_path
from autoice_bench.datasets.store.downscaling import Downscaling
from autoice_bench.datasets.store.root import Store, open_store
from autoice_bench.errors import SceneError, StoreError
from tests.datasets.prepare.test_faults import truncate
from tests.datasets.prepare.test_prepare import write_scene_again
from tests.datasets.store_tools import copy_source, digest_scenes, scene_files

PREPARE = "autoice_bench.datasets.prepare.prepare"
JOB = "autoice_bench.datasets.prepare.job"
REPLACEMENT = "autoice_bench.datasets.prepare.replacement"

Moment = Literal["before", "after"]


def read_files(store: Path) -> dict[str, bytes]:
    """Every file of a store by name; not what ``prepare`` works with, nor what readers keep."""
    return {
        path.relative_to(store).as_posix(): path.read_bytes()
        for path in store.rglob("*")
        if path.is_file() and not {".partial", ".cache"} & set(path.relative_to(store).parts)
    }


@pytest.fixture
def source(rtt_source: Path, tmp_path: Path) -> Path:
    return copy_source(rtt_source, tmp_path / "rtt")


@pytest.fixture(scope="module")
def changed_source(rtt_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``source`` with two scenes changed. Read only."""
    source = copy_source(rtt_source, tmp_path_factory.mktemp("changed") / "rtt")
    change_two(source)
    return source


@pytest.fixture
def store(prepared_store: Path, tmp_path: Path) -> Path:
    """A complete store of ``source``, whose copies keep their times."""
    return Path(shutil.copytree(prepared_store, tmp_path / "s.zarr"))


def change_two(source: Path) -> None:
    for path in scene_files(source / "train")[1:3]:
        write_scene_again(path, flip=-1)


def changed_ids(source: Path) -> list[str]:
    return [path.name.removesuffix("_prep.nc") for path in scene_files(source / "train")[1:3]]


FRESH: dict[object, dict[str, bytes]] = {}


def prepare_fresh(source: Path, **options: Any) -> dict[str, bytes]:
    """The files of a store that is prepared from scratch; the same ones are made once."""
    files = [(path, path.stat()) for path in sorted(source.rglob("*.nc"))]
    stats = [(path.name, stat.st_size, stat.st_mtime_ns) for path, stat in files]
    key = (*stats, repr(options))
    if key not in FRESH:
        with tempfile.TemporaryDirectory() as folder:
            FRESH[key] = read_files(prepare(source, f"{folder}/s", workers=1, **options).store.path)
    return FRESH[key]


def scenes_in(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if name.startswith("scenes/")}


def assert_never_half(path: Path, old: dict[str, bytes], old_store: Store) -> None:
    """A store that says ``complete`` is the old one; any other says that it is unfinished."""
    found = open_store(path)
    if found.state == "complete":
        assert found == old_store
        assert read_files(path) == old
        return
    assert found.fingerprint is None
    assert found.index_sha256 is None
    with pytest.raises(StoreError, match="state is 'preparing'"):
        open_store(path, require_complete=True)


def assert_as_from_scratch(store: Path, source: Path, **options: Any) -> None:
    assert read_files(store) == prepare_fresh(source, **options)
    assert not verify_store(store, source=source).problems
    assert not [path for path in (store / ".partial").iterdir() if path.is_dir()]


# --- a scene whose source has changed


@pytest.mark.parametrize("workers", [1, 2])
def test_a_truncated_source_leaves_the_old_scene(source: Path, store: Path, workers: int) -> None:
    old = digest_scenes(store)
    truncate(scene_files(source / "train")[1])
    arguments = ["prepare", str(source), str(store), "--overwrite", "--workers", str(workers)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "cannot be read" in result.output
    assert digest_scenes(store) == old
    assert open_store(store).state == "preparing"
    result = CliRunner().invoke(main, [*arguments, "--on-error", "skip"])
    assert result.exit_code == 1
    assert "0 scenes written, 5 were there already, 1 failed" in result.output
    assert digest_scenes(store) == old
    assert open_store(store).state == "complete"
    assert not verify_store(store).problems


def test_a_scene_that_stays_gets_its_overviews_all_the_same(source: Path, store: Path) -> None:
    (bad,) = scene_files(source / "train")[1:2]
    truncate(bad)
    report = prepare(
        source,
        store,
        workers=1,
        overwrite=True,
        overviews=[Downscaling(10, "nearest")],
        on_error="skip",
    )
    assert list(report.failed) == [bad.name.removesuffix("_prep.nc")]
    assert len(report.extended) == 6
    assert not verify_store(store).problems


@pytest.mark.parametrize("workers", [1, 2])
def test_changed_scenes_are_exchanged(changed_source: Path, store: Path, workers: int) -> None:
    report = prepare(changed_source, store, workers=workers, overwrite=True)
    assert list(report.written) == changed_ids(changed_source)
    assert len(report.done) == 4
    assert_as_from_scratch(store, changed_source)


def test_scenes_are_exchanged_in_one_step(
    changed_source: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is renamed: no old scene is ever out of its place."""
    renamed: list[Path] = []
    rename = Path.rename

    def note(path: Path, target: Path) -> Path:
        renamed.append(path)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", note)
    prepare(changed_source, store, workers=1, overwrite=True)
    assert [path for path in renamed if path.parent == store / "scenes"] == []


def test_a_time_of_the_old_source_never_vouches_for_the_new_scene(
    source: Path, store: Path
) -> None:
    path = scene_files(source / "train")[1]
    before, times = path.read_bytes(), path.stat().st_mtime_ns
    write_scene_again(path, flip=-1)
    assert path.stat().st_size == len(before)
    kill_at(source, store, (JOB, "commit_scene", "after"), overwrite=True)
    path.write_bytes(before)
    os.utime(path, ns=(times, times))
    prepare(source, store, workers=1, overwrite=True)
    assert_as_from_scratch(store, source)


# --- a store of other options


OTHER_OPTIONS: list[dict[str, Any]] = [
    {"dtype": "float32"},
    {"dtype": "float32", "overviews": [Downscaling(10, "nearest")]},
]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("options", OTHER_OPTIONS)
def test_other_options_replace_the_whole(
    source: Path, store: Path, options: dict[str, Any], workers: int
) -> None:
    report = prepare(source, store, workers=workers, overwrite=True, **options)
    assert len(report.written) == 6
    assert report.store.state == "complete"
    assert_as_from_scratch(store, source, **options)


def test_another_method_of_an_overview_replaces_the_whole(source: Path, store: Path) -> None:
    prepare(source, store, workers=1, overviews=[Downscaling(10, "nearest")])
    options: dict[str, Any] = {"overviews": [Downscaling(10, "area")]}
    with pytest.raises(StoreError, match=r"overviews 10.* there, 10:area asked for.*--overwrite"):
        prepare(source, store, workers=1, **options)
    prepare(source, store, workers=1, overwrite=True, **options)
    assert_as_from_scratch(store, source, **options)


def test_the_old_store_stays_complete_until_all_is_ready(source: Path, store: Path) -> None:
    old, old_store = read_files(store), open_store(store)
    seen: list[str] = []

    def look(result: SceneResult) -> None:
        seen.append(result.scene_id)
        assert open_store(store, require_complete=True) == old_store
        assert read_files(store) == old

    prepare(source, store, workers=1, dtype="float32", overwrite=True, on_scene=look)
    assert len(seen) == 6


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_scene_leaves_the_old_store_whole(source: Path, store: Path, workers: int) -> None:
    old, old_store = read_files(store), open_store(store)
    bad = scene_files(source / "train")[1]
    whole = bad.read_bytes()
    truncate(bad)
    with pytest.raises(SceneError, match="cannot be read"):
        prepare(source, store, workers=workers, dtype="float32", overwrite=True)
    assert_never_half(store, old, old_store)
    assert read_files(store) == old
    arguments = ["prepare", str(source), str(store), "--dtype", "float32", "--overwrite"]
    arguments += ["--on-error", "skip", "--workers", str(workers)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "1 scene of the store could not be prepared anew: it stays, " in result.output
    assert read_files(store) == old
    bad.write_bytes(whole)
    report = prepare(source, store, workers=workers, dtype="float32", overwrite=True)
    assert len(report.written) == 1
    assert len(report.done) == 5
    assert_as_from_scratch(store, source, dtype="float32")


def test_a_bad_scene_that_the_store_never_had_is_skipped(source: Path, store: Path) -> None:
    bad = scene_files(source / "train")[1]
    scene_id = bad.name.removesuffix("_prep.nc")
    shutil.rmtree(store)
    hidden = bad.rename(source.parent / bad.name)
    prepare(source, store, workers=1)
    hidden.rename(bad)
    truncate(bad)
    report = prepare(source, store, workers=1, dtype="float32", overwrite=True, on_error="skip")
    assert list(report.failed) == [scene_id]
    assert report.store.state == "complete"
    assert report.store.options.dtype == "float32"
    assert scene_id not in report.store


def test_parts_prepare_a_replacement_that_a_plain_run_puts_in_place(
    source: Path, store: Path
) -> None:
    old = read_files(store)
    for number in (1, 2):
        report = prepare(
            source, store, workers=1, dtype="float32", overwrite=True, part=Part(number, 2)
        )
        assert len(report.written) == 3
        assert "the old store stays until all parts are done" in report.notes[-1]
        assert read_files(store) == old
    other: dict[str, Any] = {"dtype": "float32", "overviews": [Downscaling(10, "nearest")]}
    with pytest.raises(StoreError, match="has other options than this part asks for"):
        prepare(source, store, workers=1, overwrite=True, part=Part(1, 2), **other)
    report = prepare(source, store, workers=1, dtype="float32", overwrite=True)
    assert len(report.done) == 6
    assert_as_from_scratch(store, source, dtype="float32")


def test_a_replacement_that_is_given_up_goes(source: Path, store: Path) -> None:
    old = read_files(store)
    kill_at(source, store, (JOB, "commit_scene", "after"), dtype="float32", overwrite=True)
    assert replacement_path(store).is_dir()
    assert prepare(source, store, workers=1).store.state == "complete"
    assert not replacement_path(store).exists()
    assert read_files(store) == old


def test_a_replacement_follows_the_source_as_it_is_when_it_is_finished(
    source: Path, store: Path
) -> None:
    prepare(source, store, workers=1, dtype="float32", overwrite=True, part=Part(1, 1))
    files = scene_files(source / "train")
    files[0].unlink()
    write_scene_again(files[1], flip=-1)
    report = prepare(source, store, workers=1, dtype="float32", overwrite=True)
    assert list(report.written) == [files[1].name.removesuffix("_prep.nc")]
    assert_as_from_scratch(store, source, dtype="float32")


def test_the_recorded_grid_anchor_is_kept(source: Path, store: Path) -> None:
    prepare(source, store, workers=1, grid_anchor="corner")
    report = prepare(source, store, workers=1, dtype="float32", overwrite=True)
    assert report.store.grid_anchor == "corner"


def test_scenes_of_two_options_are_found(source: Path, store: Path) -> None:
    scene_id = open_store(store).scene_ids()[0]
    other = prepare(source, store.parent / "other.zarr", workers=1, dtype="float32").store
    shutil.rmtree(store / "scenes" / scene_id)
    shutil.copytree(other.scene_path(scene_id), store / "scenes" / scene_id)
    problem = f"scene {scene_id}: dtype is float32; the store's is float16"
    assert problem in verify_store(store).problems
    with pytest.raises(StoreError, match="dtype float32 there, float16 asked for"):
        prepare(source, store, workers=1)
    prepare(source, store, workers=1, overwrite=True)
    assert_as_from_scratch(store, source)


# --- kills


def _prepare_and_die(
    source: Path, store: Path, where: tuple[str, str, Moment], options: dict[str, Any]
) -> None:
    module, name, moment = importlib.import_module(where[0]), where[1], where[2]
    real = getattr(module, name)

    def die(*args: Any, **kwargs: Any) -> None:
        if moment == "after":
            real(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(module, name, die)
    prepare(source, store, **options)


def die(_: SceneResult) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(source: Path, store: Path, where: tuple[str, str, Moment], **options: Any) -> None:
    """Run ``prepare`` in a process that kills itself before or after its first call of a function.

    Args:
        source, store, options: of ``prepare``.
        where: module and name of the function, and the moment.
    """
    process = multiprocessing.get_context("forkserver").Process(
        target=_prepare_and_die, args=(source, store, where, {"workers": 1, **options})
    )
    process.start()
    process.join(timeout=120)
    assert process.exitcode == -signal.SIGKILL


SCENE_KILLS: list[tuple[str, str, Moment]] = [
    (JOB, "sync_tree", "before"),
    (JOB, "commit_scene", "before"),
    (JOB, "commit_scene", "after"),
    (PREPARE, "_complete", "before"),
    (PREPARE, "write_named_splits", "before"),
    (PREPARE, "mark_complete", "before"),
    (PREPARE, "mark_complete", "after"),
]
STORE_KILLS: list[tuple[str, str, Moment]] = [
    (REPLACEMENT, "write_root", "before"),
    (REPLACEMENT, "write_root", "after"),
    *SCENE_KILLS,
    (PREPARE, "put_in_place", "before"),
    (REPLACEMENT, "exchange_folders", "before"),
    (REPLACEMENT, "exchange_folders", "after"),
    (REPLACEMENT, "discard_replacement", "before"),
    (PREPARE, "put_in_place", "after"),
]


@pytest.mark.parametrize("where", SCENE_KILLS, ids=str)
def test_killed_while_scenes_are_replaced(
    changed_source: Path, store: Path, where: tuple[str, str, Moment]
) -> None:
    old, old_store = read_files(store), open_store(store)
    kill_at(changed_source, store, where, overwrite=True)
    if where[1:] != ("mark_complete", "after"):
        assert_never_half(store, old, old_store)
    new = prepare_fresh(changed_source)
    for scene_id in old_store.scene_ids():
        prefix = f"scenes/{scene_id}/"
        states = [
            {name: content for name, content in files.items() if name.startswith(prefix)}
            for files in (read_files(store), old, new)
        ]
        assert states[0] in states[1:], "every scene is whole, the old one or the new one"
    prepare(changed_source, store, workers=1, overwrite=True)
    assert_as_from_scratch(store, changed_source)


@pytest.mark.parametrize("where", STORE_KILLS, ids=str)
def test_killed_while_a_store_is_replaced(
    source: Path, store: Path, where: tuple[str, str, Moment]
) -> None:
    old, old_store = read_files(store), open_store(store)
    options: dict[str, Any] = {"dtype": "float32", "overwrite": True}
    kill_at(source, store, where, **options)
    if where[1:] != ("mark_complete", "after"):
        assert_never_half(store, old, old_store)
    new = prepare_fresh(source, dtype="float32")
    assert scenes_in(read_files(store)) in (scenes_in(old), scenes_in(new)), "never of both"
    prepare(source, store, workers=1, **options)
    assert_as_from_scratch(store, source, dtype="float32")


@pytest.mark.parametrize("options", [{}, {"dtype": "float32"}])
def test_killed_with_two_workers(
    changed_source: Path, store: Path, options: dict[str, Any]
) -> None:
    old, old_store = read_files(store), open_store(store)
    process = multiprocessing.get_context("forkserver").Process(
        target=prepare,
        args=(changed_source, store),
        kwargs={"workers": 2, "overwrite": True, "on_scene": die, **options},
    )
    process.start()
    process.join(timeout=120)
    assert process.exitcode == -signal.SIGKILL
    assert_never_half(store, old, old_store)
    prepare(changed_source, store, workers=2, overwrite=True, **options)
    assert_as_from_scratch(store, changed_source, **options)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_the_exchange_and_then_asked_for_the_old_options(
    source: Path, store: Path, moment: Moment
) -> None:
    """The root names the new options already: the old ones are another overwrite."""
    where = (REPLACEMENT, "exchange_folders", moment)
    kill_at(source, store, where, dtype="float32", overwrite=True)
    with pytest.raises(StoreError, match="dtype float32 there, float16 asked for"):
        prepare(source, store, workers=1)
    if moment == "before":
        with pytest.raises(StoreError, match=r"scene .*dtype float16 there, float32 asked for"):
            prepare(source, store, workers=1, dtype="float32")
    prepare(source, store, workers=1, overwrite=True)
    assert_as_from_scratch(store, source)


def test_killed_where_a_file_system_cannot_exchange(
    source: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between its two renames leaves no ``scenes``; the new ones are ready all the same."""

    class Killed(BaseException):
        pass

    def displace(_: Path, path: Path) -> None:
        path.rename(path.with_suffix(".old"))
        raise Killed

    monkeypatch.setattr(importlib.import_module(REPLACEMENT), "exchange_folders", displace)
    with pytest.raises(Killed):
        prepare(source, store, workers=1, dtype="float32", overwrite=True)
    shutil.rmtree(store / "scenes.old")
    report = prepare(source, store, workers=1, dtype="float32", overwrite=True)
    assert len(report.done) == 6
    assert_as_from_scratch(store, source, dtype="float32")


def test_another_run_in_between_is_noticed(
    source: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = read_files(store)
    execute = prepare_module._execute

    def lose_one(plan: Any, *args: Any) -> Any:
        outcome = execute(plan, *args)
        shutil.rmtree(plan.target_path / "scenes" / plan.to_write[0].scene_id)
        return outcome

    monkeypatch.setattr(prepare_module, "_execute", lose_one)
    with pytest.raises(StoreError, match="another run changed it"):
        prepare(source, store, workers=1, dtype="float32", overwrite=True)
    assert read_files(store) == old
