"""Simulate a data set: many scenes into a folder, on one or more processes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from concurrent.futures import as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autoice_bench import __version__
from autoice_bench.callbacks import Progress
from autoice_bench.cluster.processes import process_pool
from autoice_bench.datasets.simulate.cases import CasesOption
from autoice_bench.datasets.simulate.raw_files import write_raw
from autoice_bench.datasets.simulate.rtt_files import read_provenance, write_reference, write_rtt
from autoice_bench.datasets.simulate.scenario import plan_scenes
from autoice_bench.datasets.simulate.scene import simulate_scene
from autoice_bench.datasets.simulate.scene_spec import SceneSpec
from autoice_bench.errors import SceneError
from autoice_bench.formats.rtt_folder import METADATA_CSV
from autoice_bench.formats.shards import ZARR_METADATA
from autoice_bench.formats.whole_files import (
    BusyError,
    claim,
    is_partial,
    remove_leftovers,
    write_whole,
)

METADATA_COLUMNS: Final = (
    "input_path", "reference_path", "date", "ice_service", "split", "region_id",
)  # fmt: skip
_CLAIM: Final = "simulate"


@dataclass(frozen=True)
class SimulatedSource:
    """A simulated source folder.

    Attributes:
        path: the folder, with ``train/``, ``test/`` and ``metadata.csv``.
        specs: its scenes, training first.
        n_written: scenes simulated now.
        n_kept: scenes that were there already, made by the same call.
    """

    path: Path
    specs: tuple[SceneSpec, ...]
    n_written: int
    n_kept: int

    @property
    def scene_ids(self) -> tuple[str, ...]:
        """Scene ids, training first."""
        return tuple(str(spec.scene_id) for spec in self.specs)


def simulate(
    out: Path,
    *,
    n_train: int = 8,
    n_test: int = 2,
    size: tuple[int, int] = (1000, 1046),
    seed: int = 0,
    cases: CasesOption = "auto",
    raw: Path | None = None,
    workers: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> SimulatedSource:
    """Write a simulated data set in the official layout.

    ``out`` then holds ``train/*_prep.nc``, ``test/*_prep.nc`` without charts,
    ``test/*_prep_reference.nc`` and ``metadata.csv``. The same arguments give the same bytes,
    whatever the number of workers. Scenes that the same call made before are kept, so an
    interrupted run is finished by repeating it.

    Args:
        out: folder to write; created if missing.
        n_train, n_test: training and test scenes.
        size: lines and samples of a scene, 80 m pixels.
        seed: selects the data set.
        cases: awkward scenes: ``all``, ``none``, or ``auto`` (all from 16 scenes on).
        raw: folder for the raw (40 m) counterpart of every scene, ``train/`` and ``test/`` with
            the names of the released raw files; None writes none.
        workers: processes.
        overwrite: replace simulated scenes of another call; never files that are not simulated.
        progress: called after each scene made.

    Raises:
        SceneError: the arguments make no data set, or ``out`` holds other scenes.
    """
    specs = plan_scenes(n_train, n_test, size, seed, cases)
    target = Target(out, raw)
    with _held(target):
        todo = _choose_scenes(target, specs, overwrite)
        for n_done, _ in enumerate(_run(target, todo, workers), start=1):
            if progress is not None:
                progress(n_done, len(todo))
        _write_metadata(out / METADATA_CSV, specs)
    return SimulatedSource(out, specs, len(todo), len(specs) - len(todo))


@contextmanager
def _held(target: Target) -> Iterator[None]:
    """Hold the folders, made if absent: two calls would remove each other's files."""
    held: set[Path] = set()
    with ExitStack() as stack:
        for folder in target.folders:
            _require_usable(folder)
            try:
                folder.mkdir(parents=True, exist_ok=True)
                if folder.resolve() not in held:
                    stack.enter_context(claim(folder / _CLAIM))
                held.add(folder.resolve())
            except BusyError as error:
                raise SceneError(f"{folder}: {error.strerror}") from None
            except OSError as error:
                raise SceneError(f"folder {folder} cannot be made: {error}") from error
        yield


def _make_folders(target: Target) -> None:
    for folder in target.folders:
        try:
            for subset in ("train", "test"):
                (folder / subset).mkdir(exist_ok=True)
                # Also of scenes that this call has no part in.
                remove_leftovers(folder / subset)
        except OSError as error:
            raise SceneError(f"folder {folder} cannot be made: {error}") from error


@dataclass(frozen=True)
class Target:
    """Where a data set goes: the folder of RTT scenes and, if wanted, that of raw scenes."""

    out: Path
    raw: Path | None = None

    @property
    def folders(self) -> tuple[Path, ...]:
        """Both folders, or the one."""
        return (self.out,) if self.raw is None else (self.out, self.raw)

    def files(self, spec: SceneSpec) -> tuple[Path, ...]:
        """Every file of a scene: RTT, reference of a test scene, raw."""
        raw = () if self.raw is None else (self.raw / spec.subset / spec.original_id,)
        return (*scene_files(self.out, spec), *raw)


def scene_files(out: Path, spec: SceneSpec) -> tuple[Path, ...]:
    """The RTT files of a scene: ``*_prep.nc``, and for a test scene its reference."""
    scene = out / spec.subset / f"{spec.scene_id}_prep.nc"
    if spec.subset == "train":
        return (scene,)
    return scene, scene.with_name(f"{spec.scene_id}_prep_reference.nc")


def provenance_of(spec: SceneSpec) -> str:
    """One line that tells whether a file is what this call would write."""
    case = f", case {spec.case}" if spec.case else ""
    return (
        f"autoice-bench {__version__} simulate: seed {spec.seed}, scene {spec.index}, "
        f"{spec.original_id}, {spec.shape[0]} x {spec.shape[1]}{case}"
    )


def write_simulated_scene(target: Target, spec: SceneSpec) -> str:
    """Simulate one scene and write its files; returns its name."""
    scene = simulate_scene(spec)
    provenance = provenance_of(spec)
    files = scene_files(target.out, spec)
    if target.raw is not None:
        write_raw(scene, target.raw / spec.subset / spec.original_id, provenance)
    # The reference first: a scene without its reference must not be left by an interruption.
    for reference in files[1:]:
        write_reference(scene, reference, provenance)
    write_rtt(scene, files[0], provenance, with_charts=spec.subset == "train")
    return str(spec.scene_id)


def _run(target: Target, specs: tuple[SceneSpec, ...], workers: int) -> Iterator[str]:
    if workers <= 1 or len(specs) <= 1:
        for spec in specs:
            yield write_simulated_scene(target, spec)
        return
    with process_pool(min(workers, len(specs)), SceneError) as pool:
        futures = [pool.submit(write_simulated_scene, target, spec) for spec in specs]
        for future in as_completed(futures):
            yield future.result()


def _require_usable(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise SceneError(f"{folder} is a file; expected a folder to write simulated scenes into")
    if (folder / ZARR_METADATA).exists():
        raise SceneError(
            f"{folder} is a store or another Zarr group; expected a folder of NetCDF files: "
            "give simulate an empty folder"
        )


def _choose_scenes(
    target: Target, specs: tuple[SceneSpec, ...], overwrite: bool
) -> tuple[SceneSpec, ...]:
    """The scenes still to make, after checking that nothing else is in the folders."""
    expected = {path: spec for spec in specs for path in target.files(spec)}
    kept: set[Path] = set()
    other: list[Path] = []
    found_files = {path for folder in target.folders for path in folder.rglob("*.nc")}
    for path in sorted(found_files):
        if any(map(is_partial, path.parents)):  # left by a killed command
            continue
        spec = expected.get(path)
        found = read_provenance(path)
        if spec is not None and found == provenance_of(spec):
            kept.add(path)
        elif found is None or not overwrite:
            kind = "is not a simulated scene" if found is None else f"is of another run ({found})"
            raise SceneError(
                f"{path} {kind}; give simulate an empty folder"
                + ("" if found is None else ", or --overwrite to replace simulated scenes")
            )
        else:
            other.append(path)
    _make_folders(target)
    if other:  # first of all: what is listed is never of two calls
        (target.out / METADATA_CSV).unlink(missing_ok=True)
    for path in other:
        path.unlink()
    return tuple(spec for spec in specs if not kept.issuperset(target.files(spec)))


def _metadata(specs: tuple[SceneSpec, ...]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(METADATA_COLUMNS)
    for spec in sorted(specs, key=lambda spec: (spec.subset == "test", str(spec.scene_id))):
        files = [path.as_posix() for path in scene_files(Path(), spec)]
        writer.writerow(
            [
                files[0],
                files[1] if len(files) > 1 else "",
                f"{spec.scene_id.acquisition_time:%Y-%m-%d %H:%M:%S}",
                spec.scene_id.ice_service,
                spec.subset,
                spec.region.name,
            ]
        )
    return text.getvalue()


def _write_metadata(path: Path, specs: tuple[SceneSpec, ...]) -> None:
    try:
        write_whole(path, _metadata(specs).encode())
    except OSError as error:
        raise SceneError(f"{path} could not be written ({error}); repeat the command") from error
