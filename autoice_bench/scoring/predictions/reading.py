"""Reading predictions: three formats, recognised by content (docs/predictions.md specifies them).

- a folder of ``<scene_id>.nc`` with variables SIC, SOD and FLOE;
- the challenge's ``upload_package.nc`` with variables ``<scene_id>_<chart>``;
- a Zarr hierarchy with one group per scene holding arrays SIC, SOD and FLOE.

What is read comes from strangers: it may be packed, of any size, and damaged in any way.
"""

from __future__ import annotations

import base64
import math
import struct
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from autoice_bench.charts import CHART_NAMES, CHARTS, FILL_VALUE
from autoice_bench.errors import PredictionError
from autoice_bench.formats.cf import CfEncoding, parse_encoding
from autoice_bench.formats.chart_values import require_missing_no_class
from autoice_bench.formats.decoding import decoding
from autoice_bench.formats.netcdf import NetcdfFile, open_netcdf
from autoice_bench.formats.plain_files import NotAFileError, is_there, require_file
from autoice_bench.formats.shards import ZARR_METADATA
from autoice_bench.formats.variables import MOST_PIXELS, MOST_TIE_POINTS, describe_unlikely_size
from autoice_bench.formats.zarr_safety import (
    V2_GROUP_METADATA,
    V2_METADATA,
    require_chunk_files,
    require_safe_array,
)
from autoice_bench.scoring.predictions.names import by_scene, scene_of

if TYPE_CHECKING:
    import zarr

TIE_POINT_NAMES: Final = ("latitude", "longitude", "tie_line", "tie_sample")
UPLOAD_NAME: Final = "upload_package.nc"

_CHARTS: Final = {chart.name: chart for chart in CHARTS}
_MOST_CHUNKS: Final = 2**20
"""Chunks that a Zarr array may have: each one that is not there is looked for."""

_WRITE_AGAIN: Final = "damaged? Write the prediction again"

TieArrays = Mapping[str, NDArray[np.float64]]
"""``latitude`` and ``longitude`` (degrees; 2-D) at ``tie_line``, ``tie_sample`` (pixels; 1-D)."""


@dataclass(frozen=True)
class Predictions(ABC):
    """Predictions of several scenes in one place. Picklable: every process opens its own files.

    Attributes:
        path: the file or folder.
        scene_ids: the scenes it holds, sorted.
        names: what each is called there, in the order of ``scene_ids``; empty where all have the
            name that this package gives.
    """

    path: Path
    scene_ids: tuple[str, ...]
    names: tuple[str, ...] = ()

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
        """Read one chart, in any dtype: decoded as CF says, NaN where a value is missing."""

    @abstractmethod
    def read_tie_points(self, scene_id: str) -> TieArrays | None:
        """Positions of the scene's tie points; None when the prediction carries none."""

    def _name_of(self, scene_id: str, default: str) -> str:
        return self.names[self.scene_ids.index(scene_id)] if self.names else default


@dataclass(frozen=True)
class NetcdfFolder(Predictions):
    """One ``<scene_id>.nc`` per scene."""

    format_name = "netcdf"

    def _file(self, scene_id: str) -> Path:
        return self.path / self._name_of(scene_id, f"{scene_id}.nc")

    def files_of(self, scene_id: str) -> tuple[Path, ...]:
        return (self._file(scene_id),)

    def read_shapes(self, scene_id: str) -> dict[str, tuple[int, ...]]:
        with _open(self._file(scene_id)) as file:
            return {name: file.shape(name) for name in CHART_NAMES if name in file.variable_names}

    def read(self, scene_id: str, chart_name: str) -> NDArray[Any]:
        with _open(self._file(scene_id)) as file:
            return _read_netcdf_chart(file, chart_name, chart_name, str(self._file(scene_id)))

    def read_tie_points(self, scene_id: str) -> TieArrays | None:
        path = self._file(scene_id)
        with _open(path) as file:
            if any(name not in file.variable_names for name in TIE_POINT_NAMES):
                return None
            for name in TIE_POINT_NAMES:
                _require_tie_points(file.shape(name), f"{path}: {name}")
            return {name: file.decoded(name).astype(np.float64) for name in TIE_POINT_NAMES}


@dataclass(frozen=True)
class UploadPackage(Predictions):
    """All scenes in one file, as the challenge's platform took them."""

    format_name = "upload-package"

    def _variable(self, scene_id: str, chart_name: str) -> str:
        return f"{self._name_of(scene_id, scene_id)}_{chart_name}"

    def read_shapes(self, scene_id: str) -> dict[str, tuple[int, ...]]:
        with _open(self.path) as file:
            names = {name: self._variable(scene_id, name) for name in CHART_NAMES}
            return {
                chart_name: file.shape(name)
                for chart_name, name in names.items()
                if name in file.variable_names
            }

    def read(self, scene_id: str, chart_name: str) -> NDArray[Any]:
        name = self._variable(scene_id, chart_name)
        with _open(self.path) as file:
            return _read_netcdf_chart(file, name, chart_name, f"{self.path}: {name}")

    def read_tie_points(self, scene_id: str) -> TieArrays | None:
        return None


@dataclass(frozen=True)
class ZarrGroups(Predictions):
    """One Zarr group per scene, format 2 or 3."""

    format_name = "zarr"

    def _folder(self, scene_id: str, name: str) -> Path:
        return self.path / self._name_of(scene_id, scene_id) / name

    def files_of(self, scene_id: str) -> tuple[Path, ...]:
        return tuple(self._folder(scene_id, name) for name in CHART_NAMES)

    def _open(self, scene_id: str, name: str) -> zarr.Array[Any] | None:
        """One array, None where the scene has none of that name.

        Arrays are opened one by one in their own folders. The group's consolidated metadata may
        list arrays that are there no more, which would read as zeros; and what else lies in a
        stranger's group is not touched.
        """
        import zarr  # a quarter of a second in every process, and seldom needed

        folder = self._folder(scene_id, name)
        if not any(is_there(folder / metadata) for metadata in (ZARR_METADATA, V2_METADATA)):
            return None
        with decoding(PredictionError, str(folder), _WRITE_AGAIN), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zarr remarks on metadata that it reads all the same
            require_safe_array(folder, v2=True)
            array = zarr.open_array(str(folder), mode="r")
            _require_sizes(array)
            require_chunk_files(folder, array.ndim)
            return array

    def _read(self, scene_id: str, name: str, chart_name: str | None = None) -> NDArray[Any] | None:
        array = self._open(scene_id, name)
        if array is None:
            return None
        folder = self._folder(scene_id, name)
        with decoding(PredictionError, str(folder), _WRITE_AGAIN):
            encoding = _parse_zarr_encoding(array)
            if chart_name is not None:
                _require_chart(array.shape, encoding, chart_name, str(folder))
            return encoding.decode(np.asarray(array[...]))

    def read_shapes(self, scene_id: str) -> dict[str, tuple[int, ...]]:
        arrays = {name: self._open(scene_id, name) for name in CHART_NAMES}
        return {name: array.shape for name, array in arrays.items() if array is not None}

    def read(self, scene_id: str, chart_name: str) -> NDArray[Any]:
        values = self._read(scene_id, chart_name, chart_name)
        if values is None:
            raise PredictionError(f"{self._folder(scene_id, chart_name)}: no such array")
        return values

    def read_tie_points(self, scene_id: str) -> TieArrays | None:
        found: dict[str, NDArray[np.float64]] = {}
        for name in TIE_POINT_NAMES:
            array = self._open(scene_id, name)
            if array is None:
                return None
            _require_tie_points(array.shape, str(self._folder(scene_id, name)))
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


def _read_netcdf_chart(file: NetcdfFile, name: str, chart_name: str, where: str) -> NDArray[Any]:
    _require_chart(file.shape(name), file.encoding(name), chart_name, where)
    return file.decoded(name)


def _require_chart(
    shape: tuple[int, ...], encoding: CfEncoding, chart_name: str, where: str
) -> None:
    """Check what is declared of a chart before it is read."""
    unlikely = describe_unlikely_size(shape)
    if unlikely is not None:
        raise PredictionError(f"{where}: {chart_name} is {unlikely}")
    require_missing_no_class(encoding, _CHARTS[chart_name], PredictionError, where)


def _require_tie_points(shape: tuple[int, ...], where: str) -> None:
    if len(shape) not in (1, 2) or math.prod(shape) > MOST_TIE_POINTS:
        raise PredictionError(
            f"{where}: tie points of shape {shape}; expected at most {MOST_TIE_POINTS:,} along one "
            "or two axes"
        )


def _require_sizes(array: zarr.Array[Any]) -> None:
    """Check what a Zarr array declares before memory is asked for it.

    Raises:
        ValueError: chunks are larger than any chart, or more than anybody writes.
    """
    for chunks in filter(None, (array.chunks, array.shards)):
        if min(chunks, default=1) < 1 or math.prod(chunks) > MOST_PIXELS:
            raise ValueError(f"chunks of {chunks} values; expected at most {MOST_PIXELS:,} in each")
    pairs = zip(array.shape, array.chunks, strict=True)
    if math.prod(-(-size // edge) for size, edge in pairs) > _MOST_CHUNKS:
        raise ValueError(
            f"shape {array.shape} in chunks of {array.chunks}; expected at most {_MOST_CHUNKS:,}"
        )


def _parse_zarr_encoding(array: zarr.Array[Any]) -> CfEncoding:
    """How a Zarr array is stored, by its attributes, as xarray writes them.

    Raises:
        ValueError: an attribute cannot be understood.
    """
    attributes = dict(array.attrs)
    for name in ("_FillValue", "missing_value"):
        attributes[name] = _json_number(attributes.get(name))
    dtype = np.dtype(array.dtype)
    encoding = parse_encoding(dtype, attributes)
    # In format 2 xarray keeps _FillValue as the array's own fill value. Where that means a class,
    # it is only what zarr writes for lack of one.
    if array.metadata.zarr_format == 2 and not encoding.missing:
        filled = parse_encoding(dtype, {**attributes, "_FillValue": array.fill_value})
        if not any(0 <= value < FILL_VALUE for value in filled.missing_meanings):
            return filled
    return encoding


def _json_number(value: Any) -> Any:
    """A number that JSON cannot hold, as xarray and Zarr spell it; anything else as it is."""
    if not isinstance(value, str):
        return value
    words = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
    if value in words:
        return words[value]
    try:
        content = base64.b64decode(value, validate=True)
    except ValueError:
        return value
    return struct.unpack("<d", content)[0] if len(content) == 8 else value


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
        return path.suffix == ".nc" and scene_of(path.name) is None
    # A folder of misnamed files counts: opening it says what is wrong, skipping it would not.
    return any(path.glob("*.nc")) or _zarr_groups(path) is not None


def _by_scene(path: Path, names: list[str]) -> dict[str, str]:
    found, twice = by_scene(names)
    if twice is not None:
        # The words for files are older than the other formats.
        several = "several .nc files" if twice[0].endswith(".nc") else "several names"
        raise PredictionError(
            f"{path}: {several} stand for one scene ({twice[0]}, {twice[1]}); expected one each"
        )
    return found


def _netcdf_folder(path: Path) -> NetcdfFolder | None:
    files = [file.name for file in path.glob("*.nc") if not _is_group(file)]
    names = _by_scene(path, files)
    return NetcdfFolder(path, tuple(names), tuple(names.values())) if names else None


def _zarr_groups(path: Path) -> ZarrGroups | None:
    groups = [child.name for child in path.iterdir() if scene_of(child.name) and _is_group(child)]
    names = _by_scene(path, groups)
    return ZarrGroups(path, tuple(names), tuple(names.values())) if names else None


def _is_group(path: Path) -> bool:
    return any((path / name).is_file() for name in (ZARR_METADATA, V2_GROUP_METADATA))


def _upload_folder(path: Path) -> UploadPackage | None:
    file = path / UPLOAD_NAME
    return _open_upload_package(file) if is_there(file) else None


def _open_upload_package(path: Path) -> UploadPackage:
    with _open(path) as file:
        variables = [name.rpartition("_") for name in file.variable_names]
    stems = {stem for stem, _, chart in variables if chart in CHART_NAMES}
    names = _by_scene(path, sorted(stems))
    if not names:
        raise PredictionError(
            f"{path}: no variable is named <scene_id>_<chart>, such as 20180607T184326_dmi_SIC; "
            "files of one scene each are scored by giving their folder"
        )
    return UploadPackage(path, tuple(names), tuple(names.values()))
