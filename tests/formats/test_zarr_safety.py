"""The allow-list of Zarr arrays: what libraries write by themselves passes, the rest does not."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

from autoice_bench.formats.zarr_safety import (
    require_chunk_files,
    require_safe_array,
    require_safe_group,
)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int64", "float32", "float64"])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_numbers_in_both_formats(tmp_path: Path, dtype: str, zarr_format: Any) -> None:
    zarr.create_array(tmp_path / "a", shape=(4, 5), dtype=dtype, zarr_format=zarr_format)
    require_safe_array(tmp_path / "a", v2=True)


@pytest.mark.parametrize(
    "compressor", [BloscCodec(), GzipCodec(), ZstdCodec(), None], ids=lambda codec: repr(codec)[:5]
)
@pytest.mark.parametrize("shards", [None, (8, 8)])
def test_codecs_of_format_3(tmp_path: Path, compressor: Any, shards: Any) -> None:
    zarr.create_array(
        tmp_path / "a",
        shape=(8, 8),
        chunks=(4, 4),
        shards=shards,
        dtype="uint8",
        compressors=compressor,
    )
    require_safe_array(tmp_path / "a")


@pytest.mark.parametrize(
    "codec",
    [numcodecs.Blosc(), numcodecs.Zlib(), numcodecs.GZip(), numcodecs.Zstd(), numcodecs.LZ4()],
    ids=lambda codec: codec.codec_id,
)
def test_codecs_of_format_2(tmp_path: Path, codec: Any) -> None:
    zarr.create_array(
        tmp_path / "a",
        shape=(8, 8),
        dtype="int16",
        compressors=codec,
        filters=[numcodecs.Shuffle(2)],
        zarr_format=2,
    )
    require_safe_array(tmp_path / "a", v2=True)
    with pytest.raises(ValueError, match="Zarr format 2; expected format 3"):
        require_safe_array(tmp_path / "a")


def test_names_are_allowed_where_asked_for(tmp_path: Path) -> None:
    scene = xr.Dataset({"a": ("channel", [1.0, 2.0])}, {"channel": ["HH", "HV"]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scene.to_zarr(tmp_path / "g", zarr_format=3, consolidated=True)
        values = np.array(["HH"], np.dtypes.StringDType())
        zarr.create_array(tmp_path / "g/text", data=values)
    require_safe_group(tmp_path / "g")
    for name in ("channel", "text"):
        require_safe_array(tmp_path / "g" / name, texts=True)
        with pytest.raises(ValueError, match="expected bool, int, uint or float; write it again"):
            require_safe_array(tmp_path / "g" / name)


def test_scenes_of_a_store_pass(prepared_store: Path) -> None:
    for scene in (prepared_store / "scenes").iterdir():
        require_safe_group(scene)


SHARDING = {"chunk_shape": [1], "codecs": ["bytes"], "index_codecs": ["bytes"]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_type": "string"}, "data_type 'string'"),
        ({"data_type": {"name": "struct"}}, "data_type"),
        ({"data_type": ["uint8"]}, "data_type"),
        ({"data_type": None}, "data_type None"),
        ({"codecs": None}, "codecs None; expected a list"),
        ({"codecs": [{"name": "numcodecs.pickle"}]}, "codec 'numcodecs.pickle'"),
        ({"codecs": ["bytes", "pickle"]}, "codec 'pickle'"),
        ({"codecs": ["vlen-utf8"]}, "codec 'vlen-utf8'"),
        ({"codecs": [["bytes"]]}, "codec"),
        ({"codecs": ["sharding_indexed"]}, "codec 'sharding_indexed'"),
        ({"codecs": [{"name": "sharding_indexed"}]}, "codecs None"),
        (
            {
                "codecs": [
                    {
                        "name": "sharding_indexed",
                        "configuration": SHARDING | {"index_codecs": ["bytes", "pickle"]},
                    }
                ]
            },
            "codec 'pickle'",
        ),
        ({"storage_transformers": ["x"]}, "storage_transformers"),
        ({"zarr_format": 2}, "zarr_format 2; expected 3"),
        ({"zarr_format": True}, "zarr_format True"),
        ({"node_type": "group"}, "node_type 'group'"),
    ],
)
def test_what_is_not_known_is_refused_in_format_3(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    zarr.create_array(tmp_path / "a", shape=(4,), dtype="uint8")
    path = tmp_path / "a" / "zarr.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ValueError, match=message) as caught:
        require_safe_array(tmp_path / "a")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": "|O"}, r"dtype '\|O'; expected bool"),
        ({"dtype": [["a", "|O"]]}, "dtype"),
        ({"dtype": "<U4"}, "dtype '<U4'"),
        ({"dtype": "<u1\n"}, "dtype"),
        ({"filters": [{"id": "vlen-utf8"}]}, "codec 'vlen-utf8'"),
        ({"filters": {"id": "pickle"}}, "filters"),
        ({"filters": ["pickle"]}, "codec 'pickle'"),
        ({"compressor": {"id": "pickle"}}, "codec 'pickle'"),
        ({"compressor": "pickle"}, "codec 'pickle'"),
        ({"compressor": {}}, "codec None"),
        ({"zarr_format": 3}, "zarr_format 3; expected 2"),
    ],
)
def test_what_is_not_known_is_refused_in_format_2(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    zarr.create_array(tmp_path / "a", shape=(4,), dtype="uint8", zarr_format=2)
    path = tmp_path / "a" / ".zarray"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ValueError, match=message):
        require_safe_array(tmp_path / "a", v2=True)


def test_both_formats_in_one_folder_are_both_checked(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a", shape=(4,), dtype="uint8")
    (tmp_path / "a" / ".zarray").write_text('{"zarr_format": 2, "dtype": "|O"}')
    with pytest.raises(ValueError, match="dtype"):
        require_safe_array(tmp_path / "a", v2=True)


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, "\x00", '{"a": 1'])
def test_damaged_metadata_are_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "zarr.json").write_text(text)
    for check in (require_safe_array, require_safe_group):
        with pytest.raises(ValueError, match="damaged"):
            check(tmp_path)


@pytest.mark.parametrize("key", ["c/0/1", "0.1", "0/1", "c.0.1"])
def test_folder_in_place_of_a_chunk_is_refused(tmp_path: Path, key: str) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "c" / "1").mkdir(parents=True)
    require_chunk_files(tmp_path, 2)
    (tmp_path / key).mkdir(parents=True)
    with pytest.raises(ValueError, match="is a folder; expected the file of a chunk"):
        require_chunk_files(tmp_path, 2)
