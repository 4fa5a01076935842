"""Reading predictions: three formats, recognised by content (docs/predictions.md specifies them).

- a folder of ``<scene_id>.nc`` with variables SIC, SOD and FLOE;
- the challenge's ``upload_package.nc`` with variables ``<scene_id>_<chart>``;
- a Zarr hierarchy with one group per scene holding arrays SIC, SOD and FLOE.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHART_NAMES
from autoice_bench.errors import PredictionError
from autoice_bench.formats.netcdf import NetcdfFile, open_netcdf
from autoice_bench.formats.plain_files import NotAFileError, is_there, require_file
from autoice_bench.formats.shards import ZARR_METADATA
from autoice_bench.formats.zarr_safety import (
    V2_GROUP_METADATA,
    V2_METADATA,
    require_safe_array,
)
from autoice_bench.scene_id import is_scene_name, parse_scene_id

if TYPE_CHECKING:
    import zarr

TIE_POINT_NAMES: Final = ("latitude", "longitude", "tie_line", "tie_sample")
UPLOAD_NAME: Final = "upload_package.nc"

_SCENE_SUFFIXES: Final = (".nc", "_prep.nc", "_prep_reference.nc")
"""What may follow the scene id in a file name: people keep the source's."""

TieArrays = Mapping[str, NDArray[np.float64]]
"""``latitude`` and ``longitude`` (degrees; 2-D) at ``tie_line``, ``tie_sample`` (pixels; 1-D)."""


@dataclass(frozen=True)
class Predictions(ABC):
    """Predictions of several scenes in one place. Picklable: every process opens its own files.

    Attributes:
        path: the file or folder.
        scene_ids: the scenes it holds, sorted.
    """

    path: Path
    scene_ids: tuple[str, ...]

    format_name = ""

    @property
    def name(self) -> str:
        """Default name of a submission: the folder's, or that of the folder around a file."""
        path = self.path.resolve()
        if path.name == UPLOAD_NAME:
            return path.parent.name
        return path.stem if path.suffix in (".nc", ".zarr") else path.name

    def in_any_folder(self) -> Self:
        """The same predictions by an absolute path, for processes that run in another folder."""
        return replace(self, path=self.path.absolute())

    def files_of(self, scene_id: str) -> tuple[Path, ...]:
        """Files and folders that are read for a scene."""
        return (self.path,)

    @abstractmethod
    def read_shapes(self, scene_id: str) -> dict[str, tuple[int, ...]]:
        """Chart name to shape, of the charts that the scene has."""

    @abstractmethod
    def read(self, scene_id: str, chart_name: str) -> NDArray[Any]:
        """Read one chart as stored, in any dtype; packed values are unpacked."""

    @abstractmethod
    def read_tie_points(self, scene_id: str) -> TieArrays | None:
        """Positions of the scene's tie points; None when the prediction carries none."""


@dataclass(frozen=True)
class NetcdfFolder(Predictions):
    """One ``<scene_id>.nc`` per scene."""

    format_name = "netcdf"

    def _file(self, scene_id: str) -> Path:
        candidates = (self.path / f"{scene_id}{suffix}" for suffix in _SCENE_SUFFIXES)
        return next(file for file in candidates if is_there(file))

    def files_of(self, scene_id: str) -> tuple[Path, ...]:
        return (self._file(scene_id),)

    def read_shapes(self, scene_id: str) -> dict[str, tuple[int, ...]]:
        with _open(self._file(scene_id)) as file:
            return {name: file.shape(name) for name in CHART_NAMES if name in file.variable_names}

    def read(self, scene_id: str, chart_name: str) -> NDArray[Any]:
        with _open(self._file(scene_id)) as file:
            return _read_unpacked(file, chart_name)

    def read_tie_points(self, scene_id: str) -> TieArrays | None:
        with _open(self._file(scene_id)) as file:
            if any(name not in file.variable_names for name in TIE_POINT_NAMES):
                return None
            return {name: np.asarray(file.read(name), np.float64) for name in TIE_POINT_NAMES}


@dataclass(frozen=True)
class UploadPackage(Predictions):
    """All scenes in one file, as the challenge's platform took them."""

    format_name = "upload-package"

    def read_shapes(self, scene_id: str) -> dict[str, tuple[int, ...]]:
        with _open(self.path) as file:
            names = {name: f"{scene_id}_{name}" for name in CHART_NAMES}
            return {
                chart_name: file.shape(name)
                for chart_name, name in names.items()
                if name in file.variable_names
            }

    def read(self, scene_id: str, chart_name: str) -> NDArray[Any]:
        with _open(self.path) as file:
            return _read_unpacked(file, f"{scene_id}_{chart_name}")

    def read_tie_points(self, scene_id: str) -> TieArrays | None:
        return None


@dataclass(frozen=True)
class ZarrGroups(Predictions):
    """One Zarr group per scene, format 2 or 3."""

    format_name = "zarr"

    def files_of(self, scene_id: str) -> tuple[Path, ...]:
        return tuple(self.path / scene_id / name for name in CHART_NAMES)

    def _open(self, scene_id: str, name: str) -> zarr.Array[Any] | None:
        """One array, None where the scene has none of that name.

        Arrays are opened one by one in their own folders. The group's consolidated metadata may
        list arrays that are there no more, which would read as zeros; and what else lies in a
        stranger's group is not touched.
        """
        import zarr  # a quarter of a second in every process, and seldom needed

        folder = self.path / scene_id / name
        if not any(is_there(folder / metadata) for metadata in (ZARR_METADATA, V2_METADATA)):
            return None
        try:
            require_safe_array(folder, v2=True)
            return zarr.open_array(str(folder), mode="r")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PredictionError(f"{folder}: not a Zarr array to read: {error}") from error

    def _read(self, scene_id: str, name: str) -> NDArray[Any] | None:
        array = self._open(scene_id, name)
        if array is None:
            return None
        try:
            return np.asarray(array[...])
        except (OSError, ValueError, RuntimeError) as error:
            raise PredictionError(f"{self.path / scene_id}/{name}: damaged: {error}") from error

    def read_shapes(self, scene_id: str) -> dict[str, tuple[int, ...]]:
        arrays = {name: self._open(scene_id, name) for name in CHART_NAMES}
        return {name: array.shape for name, array in arrays.items() if array is not None}

    def read(self, scene_id: str, chart_name: str) -> NDArray[Any]:
        values = self._read(scene_id, chart_name)
        if values is None:
            raise PredictionError(f"{self.path / scene_id}: no array {chart_name}")
        return values

    def read_tie_points(self, scene_id: str) -> TieArrays | None:
        found: dict[str, NDArray[np.float64]] = {}
        for name in TIE_POINT_NAMES:
            values = self._read(scene_id, name)
            if values is None:
                return None
            found[name] = values.astype(np.float64, copy=False)
        return found


def open_predictions(path: Path) -> Predictions:
    """Open predictions in whichever of the accepted formats they are.

    Raises:
        PredictionError: ``path`` holds none of them, or a mixture.
    """
    path = Path(path)
    if path.is_file():
        return _open_upload_package(path)
    if not path.is_dir():
        problem = f"{path}: no such file or folder"
        try:
            require_file(path)
        except NotAFileError as error:
            problem = f"{error} or folder of predictions"
        except OSError:
            pass
        raise PredictionError(problem)
    found = [
        predictions
        for predictions in (_netcdf_folder(path), _zarr_groups(path), _upload_folder(path))
        if predictions is not None
    ]
    if len(found) > 1:
        formats = " and ".join(predictions.format_name for predictions in found)
        raise PredictionError(f"{path}: holds {formats} predictions; expected one format")
    if not found:
        raise PredictionError(
            f"{path}: no predictions found; expected <scene_id>.nc files, {UPLOAD_NAME} or Zarr "
            "groups named by scene (`autoice-bench score --expect` shows each format)"
        )
    return found[0]


def find_submissions(path: Path) -> tuple[Predictions, ...]:
    """Open one set of predictions, or each of those in a folder of prediction folders.

    Raises:
        PredictionError: neither ``path`` nor anything in it holds predictions, or two of them
            have one name.
    """
    path = Path(path)
    if not path.is_dir() or _holds_predictions(path):
        return (open_predictions(path),)
    inner = tuple(
        open_predictions(child)
        for child in sorted(path.iterdir())
        if not child.name.startswith(".") and _looks_like_predictions(child)
    )
    _require_own_names(path, inner)
    return inner or (open_predictions(path),)


@contextmanager
def _open(path: Path) -> Iterator[NetcdfFile]:
    try:
        with open_netcdf(path) as file:
            yield file
    except OSError as error:
        raise PredictionError(f"{path}: cannot be read as NetCDF: {error}") from error


def _read_unpacked(file: NetcdfFile, name: str) -> NDArray[Any]:
    """Values as CF means them: ``scale_factor`` and ``add_offset`` applied, nothing masked."""
    values = file.read(name)
    attributes = file.attributes(name)
    if "scale_factor" in attributes or "add_offset" in attributes:
        values = values * attributes.get("scale_factor", 1) + attributes.get("add_offset", 0)
    return values


def _require_own_names(path: Path, submissions: tuple[Predictions, ...]) -> None:
    first: dict[str, Predictions] = {}
    for submission in submissions:
        other = first.setdefault(submission.name, submission)
        if other is not submission:
            raise PredictionError(
                f"{path}: {other.path.name} and {submission.path.name} would both be submission "
                f"{submission.name!r}; rename one, or score them one by one with --name"
            )


def _holds_predictions(path: Path) -> bool:
    return any(
        predictions is not None
        for predictions in (_netcdf_folder(path), _zarr_groups(path), _upload_folder(path))
    )


def _looks_like_predictions(path: Path) -> bool:
    if path.is_file():
        return path.suffix == ".nc" and not is_scene_name(path.name)
    # A folder of misnamed files counts: opening it says what is wrong, skipping it would not.
    return any(path.glob("*.nc")) or _zarr_groups(path) is not None


def _netcdf_folder(path: Path) -> NetcdfFolder | None:
    names = [file.name for file in path.glob("*.nc") if is_scene_name(file.name)]
    scene_ids = tuple(sorted({str(parse_scene_id(name)) for name in names}))
    if len(scene_ids) < len(names):
        raise PredictionError(f"{path}: several .nc files stand for one scene; expected one each")
    return NetcdfFolder(path, scene_ids) if scene_ids else None


def _zarr_groups(path: Path) -> ZarrGroups | None:
    scene_ids = tuple(
        child.name
        for child in sorted(path.iterdir())
        if is_scene_name(child.name)
        and ((child / ZARR_METADATA).is_file() or (child / V2_GROUP_METADATA).is_file())
    )
    return ZarrGroups(path, scene_ids) if scene_ids else None


def _upload_folder(path: Path) -> UploadPackage | None:
    file = path / UPLOAD_NAME
    return _open_upload_package(file) if is_there(file) else None


def _open_upload_package(path: Path) -> UploadPackage:
    with _open(path) as file:
        variables = [name.rpartition("_") for name in file.variable_names]
    scene_ids = {
        scene for scene, _, chart in variables if chart in CHART_NAMES and is_scene_name(scene)
    }
    if not scene_ids:
        raise PredictionError(
            f"{path}: no variable is named <scene_id>_<chart>, such as 20180607T184326_dmi_SIC; "
            "files of one scene each are scored by giving their folder"
        )
    return UploadPackage(path, tuple(sorted(scene_ids)))
