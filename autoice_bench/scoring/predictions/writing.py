"""Writing predictions in any accepted format, and converting one into another."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import netCDF4
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.errors import ZarrUserWarning

from autoice_bench.callbacks import Progress
from autoice_bench.charts import CHARTS, FILL_VALUE, Chart
from autoice_bench.errors import PredictionError
from autoice_bench.formats.netcdf import open_netcdf
from autoice_bench.formats.plain_files import is_there
from autoice_bench.formats.store_layout import chart_attributes
from autoice_bench.formats.variables import STANDARDISED_VARIABLES
from autoice_bench.formats.whole_files import remove_leftovers, whole_file, whole_folder
from autoice_bench.scoring.metrics.histograms import validate_classes
from autoice_bench.scoring.predictions.reading import (
    UPLOAD_NAME,
    NetcdfFolder,
    Predictions,
    TieArrays,
    UploadPackage,
    ZarrGroups,
)

FORMATS: Final = (NetcdfFolder.format_name, UploadPackage.format_name, ZarrGroups.format_name)

DESCRIPTION_FILE: Final = "description.json"
"""Lies beside predictions and says what made them; its fields are those of a submission."""
PROBABILITIES_SUFFIX: Final = "_probabilities.nc"
"""Ends the names of files beside predictions that hold class probabilities."""

DIMS: Final = ("sar_lines", "sar_samples")
_TIE_DIMS: Final = {
    "latitude": ("tie_lines", "tie_samples"),
    "longitude": ("tie_lines", "tie_samples"),
    "tie_line": ("tie_lines",),
    "tie_sample": ("tie_samples",),
}
_TIE_ATTRIBUTES: Final = {
    "latitude": {"standard_name": "latitude", "units": "degrees_north"},
    "longitude": {"standard_name": "longitude", "units": "degrees_east"},
    "tie_line": {"long_name": "line of the tie points, from 0", "units": "1"},
    "tie_sample": {"long_name": "sample of the tie points, from 0", "units": "1"},
}
_COMPRESSION_LEVEL: Final = 1
_SOURCE_VARIABLES: Final = frozenset(variable.name for variable in STANDARDISED_VARIABLES)
_CHUNK_LINES: Final = 512

Classes = Mapping[str, NDArray[np.uint8]]


EXPECTED: Final = f"""\
Predictions are accepted in three formats, recognised by content. Classes are uint8: SIC 0-10,
SOD 0-5, FLOE 0-6 (the extra mask classes 11, 6 and 7 are accepted and count as wrong);
{FILL_VALUE} only where the truth is {FILL_VALUE}. Shapes are those of the 80 m charts. Every scene
of the subset, all three charts. Scenes may keep `_prep`, `_prep.nc` or `_pred` in their names.

1. A folder with one NetCDF file per scene, variables SIC, SOD, FLOE:

     preds/20180124T194759_dmi.nc
       import xarray as xr
       xr.Dataset({{name: (("sar_lines", "sar_samples"), classes[name])
                   for name in ("SIC", "SOD", "FLOE")}}).to_netcdf(
           "preds/20180124T194759_dmi.nc",
           encoding={{name: {{"zlib": True, "complevel": 1}} for name in ("SIC", "SOD", "FLOE")}})

2. The challenge's upload package, one NetCDF file with variables <scene_id>_<chart>:

     preds/{UPLOAD_NAME}
       20180124T194759_dmi_SIC, 20180124T194759_dmi_SOD, 20180124T194759_dmi_FLOE, ...

3. A Zarr hierarchy with one group per scene, arrays SIC, SOD, FLOE:

     preds.zarr/20180124T194759_dmi/{{SIC,SOD,FLOE}}
       xr.Dataset(...).to_zarr("preds.zarr/20180124T194759_dmi")

`autoice-bench convert PREDS OUT` turns any of them into any other."""


def build_prediction(
    scene_id: str,
    classes: Classes,
    tie_points: TieArrays | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """One scene's prediction as a CF-annotated dataset, ready to be written.

    Args:
        scene_id: the scene predicted.
        classes: chart name to (lines, samples) uint8 classes.
        tie_points: positions that place the prediction on a map.
        attributes: further global attributes, such as the model's name.

    Raises:
        PredictionError: the charts differ in shape.
    """
    if len({values.shape for values in classes.values()}) > 1:
        shapes = ", ".join(f"{name} {values.shape}" for name, values in classes.items())
        raise PredictionError(f"scene {scene_id}: its charts differ in shape: {shapes}")
    variables = {
        chart.name: (
            DIMS,
            classes[chart.name],
            _cf_attributes(chart),
        )
        for chart in CHARTS
        if chart.name in classes
    }
    dataset = xr.Dataset(
        variables, attrs={"scene_id": scene_id, "Conventions": "CF-1.11", **(attributes or {})}
    )
    for name, values in (tie_points or {}).items():
        dataset[name] = (_TIE_DIMS[name], values, _TIE_ATTRIBUTES[name])
    return dataset


def write_prediction(
    folder: Path,
    scene_id: str,
    classes: Classes,
    tie_points: TieArrays | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Path:
    """Write ``<folder>/<scene_id>.nc``: uint8, zlib level 1; whole or not at all.

    Returns:
        The file's path.

    Raises:
        PredictionError: the file cannot be written.
    """
    dataset = build_prediction(scene_id, classes, tie_points, attributes)
    path = folder / f"{scene_id}.nc"
    with _explained(path), whole_file(path) as partial:
        try:
            dataset.to_netcdf(
                partial,
                engine="netcdf4",
                encoding={name: netcdf_encoding(values.shape) for name, values in classes.items()}
                | {name: {"_FillValue": None} for name in tie_points or {}},
            )
        except RuntimeError as error:  # how the NetCDF library says that the disk is full
            raise PredictionError(
                f"{path}: cannot be written ({error}); is there space left?"
            ) from error
    return path


@contextmanager
def whole_predictions(out: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A folder to write predictions in, which becomes ``out`` when all went well.

    Args:
        out: the folder; absent, unless ``overwrite`` is set.
        overwrite: take the place of predictions that this package wrote there. Nothing else is
            ever removed: a folder that holds more is refused.

    Raises:
        PredictionError: see ``require_replaceable``, or ``out`` cannot be written.
    """
    require_replaceable(out, overwrite=overwrite)
    with _explained(out), whole_folder(out, replace=overwrite) as partial:
        # Again: another process may have written them since, and none can from here on.
        require_replaceable(out, overwrite=overwrite)
        yield partial


def write_description(folder: Path, description: Mapping[str, Any]) -> None:
    """Write what made the predictions of a folder, for the scorer."""
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    (folder / DESCRIPTION_FILE).write_text(text, encoding="utf-8")


def require_replaceable(out: Path, *, overwrite: bool) -> None:
    """Check, before anything takes long, that predictions may be written to a folder.

    Raises:
        PredictionError: ``out`` exists and ``overwrite`` is not set, or it holds something else
            than predictions that this package wrote.
    """
    if not out.exists():
        return
    if not overwrite:
        raise PredictionError(f"{out}: exists; --overwrite replaces it, --out chooses another")
    if not out.is_dir():
        raise PredictionError(f"{out}: is a file; expected a folder for predictions")
    if out.resolve() == Path.cwd():
        raise PredictionError(f"{out}: is the current folder; --out chooses another")
    remove_leftovers(out)
    for path in sorted(out.iterdir()):
        if path.name != DESCRIPTION_FILE and not _is_own_prediction(path):
            raise PredictionError(
                f"{out}: holds {path.name}, which is no prediction that autoice-bench wrote; "
                "nothing was removed: --out chooses another folder"
            )


def convert(
    predictions: Predictions, out: Path, *, format_name: str, progress: Progress | None = None
) -> None:
    """Write predictions in another format; classes and, where both carry them, tie points.

    Args:
        predictions: any accepted format.
        out: file (upload package) or folder to create.
        format_name: one of ``FORMATS``.
        progress: called after each scene.

    Raises:
        PredictionError: ``out`` exists or cannot be written, or a prediction cannot be read as
            classes.
    """
    _require_absent(out)
    if format_name == UploadPackage.format_name:
        with _explained(out), whole_file(out, alone=True) as partial:
            _require_absent(out)  # another process may have written it since
            _write_upload_package(predictions, partial, progress)
        return
    with _explained(out), whole_folder(out) as partial:
        _require_absent(out)
        for done, scene_id in enumerate(predictions.scene_ids, start=1):
            classes = _read_classes(predictions, scene_id)
            tie_points = predictions.read_tie_points(scene_id)
            if format_name == NetcdfFolder.format_name:
                write_prediction(partial, scene_id, classes, tie_points)
            else:
                _write_zarr_group(partial / scene_id, scene_id, classes, tie_points)
            if progress is not None:
                progress(done, len(predictions.scene_ids))


def guess_format(out: Path) -> str:
    """The format a path asks for: ``.nc`` one file, ``.zarr`` Zarr, else a folder of files."""
    by_suffix = {".nc": UploadPackage.format_name, ".zarr": ZarrGroups.format_name}
    return by_suffix.get(out.suffix, NetcdfFolder.format_name)


def _require_absent(out: Path) -> None:
    if is_there(out):
        raise PredictionError(f"{out}: exists; choose another name or remove it")


def _is_own_prediction(path: Path) -> bool:
    """Whether a file is one that ``write_prediction`` writes, or the probabilities beside it.

    Names alone do not tell: ``<scene_id>_prep.nc`` is a source scene, of which there may be no
    other copy. Ours name the scene in an attribute exactly as in the file's name.
    """
    scene_id = path.name.removesuffix(PROBABILITIES_SUFFIX).removesuffix(".nc")
    if path.is_symlink() or not path.is_file() or path.suffix != ".nc":
        return False
    try:
        with open_netcdf(path) as file:
            written_for = file.attributes().get("scene_id")
            variables = set(file.variable_names)
    except OSError:  # a torn file is not known to be ours
        return False
    return (
        isinstance(written_for, str)
        and written_for == scene_id
        and not variables & _SOURCE_VARIABLES
    )


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn a failed write (a full disk, a folder that may only be read) into one line."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        reason = error.strerror or error
        raise PredictionError(f"{path}: cannot be written: {reason}") from error


def _cf_attributes(chart: Chart) -> dict[str, Any]:
    """Attributes of a predicted chart: flags, in the type of the classes as CF asks."""
    attributes = chart_attributes(chart)
    # With a missing value, xarray would give floats in place of classes.
    del attributes["missing_value"]
    return attributes | {"flag_values": np.array(attributes["flag_values"], np.uint8)}


def netcdf_encoding(shape: tuple[int, ...]) -> dict[str, Any]:
    """How uint8 maps are stored in NetCDF files: strips of lines, lightly compressed.

    Args:
        shape: of the variable; lines and samples come last, each of what comes first is a chunk.
    """
    *leading, lines, samples = shape
    return {
        "zlib": True,
        "complevel": _COMPRESSION_LEVEL,
        "shuffle": False,  # bytes have nothing to shuffle
        "chunksizes": (*(1 for _ in leading), min(_CHUNK_LINES, lines), samples),
    }


def _read_classes(predictions: Predictions, scene_id: str) -> dict[str, NDArray[np.uint8]]:
    where = f"{predictions.path}: scene {scene_id}"
    present = predictions.read_shapes(scene_id)
    try:
        return {
            chart.name: validate_classes(predictions.read(scene_id, chart.name), chart, where=where)
            for chart in CHARTS
            if chart.name in present
        }
    except MemoryError as error:
        raise PredictionError(f"{where}: asks for more memory than there is") from error


def _write_upload_package(predictions: Predictions, path: Path, progress: Progress | None) -> None:
    with netCDF4.Dataset(path, "w") as file:
        for done, scene_id in enumerate(predictions.scene_ids, start=1):
            for chart_name, values in _read_classes(predictions, scene_id).items():
                name = f"{scene_id}_{chart_name}"
                dims = (f"{name}_dim0", f"{name}_dim1")
                for dim, size in zip(dims, values.shape, strict=True):
                    file.createDimension(dim, size)
                variable = file.createVariable(name, "u1", dims, **netcdf_encoding(values.shape))
                variable[:] = values
            if progress is not None:
                progress(done, len(predictions.scene_ids))


def _write_zarr_group(
    group: Path, scene_id: str, classes: Classes, tie_points: TieArrays | None
) -> None:
    dataset = build_prediction(scene_id, classes, tie_points)
    for variable in dataset.variables.values():
        variable.attrs = {
            key: value.tolist() if isinstance(value, np.ndarray) else value
            for key, value in variable.attrs.items()
        }
    with warnings.catch_warnings():
        # Consolidated metadata is no part of the v3 specification yet; xarray opens faster with it.
        warnings.simplefilter("ignore", ZarrUserWarning)
        # A chunk that gets lost reads as the fill value, which is refused where the truth is valid;
        # one that is damaged decodes to other classes unnoticed, but for its checksum.
        compressors = (ZstdCodec(), Crc32cCodec())
        dataset.to_zarr(
            group,
            mode="w",
            zarr_format=3,
            consolidated=True,
            encoding={str(name): {"compressors": compressors} for name in dataset.variables}
            | {name: {"compressors": compressors, "fill_value": FILL_VALUE} for name in classes},
        )
