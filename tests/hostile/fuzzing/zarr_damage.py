"""Damage to Zarr arrays and groups that knows their metadata."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.hostile.fuzzing.byte_damage import damage_bytes, damage_file
from tests.hostile.fuzzing.cases import Damage, Rng, refused
from tests.hostile.fuzzing.document_damage import (
    damage_json_text,
    dump_document,
    edit_document,
    odd_value,
)
from tests.hostile.fuzzing.sandbox import Sandbox
from tests.hostile.zarr_payloads import ATTACKS, write_attack

_V3: Final = "zarr.json"
_V2: Final = (".zarray", ".zgroup", ".zattrs", ".zmetadata")
_METADATA: Final = (_V3, *_V2)
_DTYPES: Final = (
    *("int8", "uint16", "int64", "uint64", "float16", "float32", "float64", "bool", "complex64"),
    *("string", "variable_length_bytes", "r8", "numpy.datetime64", "null", "|u1", "|O", ">f8"),
)
_CODECS: Final[tuple[Any, ...]] = (
    {"name": "numcodecs.pickle", "configuration": {}},
    {"name": "numcodecs.json2", "configuration": {}},
    {"name": "vlen-bytes", "configuration": {}},
    {"name": "gzip", "configuration": {"level": 99}},
    {"name": "zstd", "configuration": {}},
    {"name": "blosc", "configuration": {"typesize": 0, "cname": "x", "clevel": -1}},
    {"name": "bytes", "configuration": {"endian": "big"}},
    {"name": "transpose", "configuration": {"order": [5, 7]}},
    {"name": "sharding_indexed", "configuration": {"chunk_shape": [0, 0], "codecs": []}},
    {"name": "crc32c"},
    "bytes",
    None,
)
_FILLS: Final[tuple[Any, ...]] = (None, 255, 300, -1, 1.5, "NaN", "x", "0xff", True, [1], {})
FORBIDDEN_CODECS: Final = ("numcodecs.pickle", "numcodecs.json2", "vlen-bytes")


def is_metadata(name: str) -> bool:
    return name.rpartition("/")[2] in _METADATA


def damage_zarr(rng: Rng, sandbox: Sandbox, below: str, charts: tuple[str, ...]) -> Damage:
    """Change one thing of the Zarr arrays below a folder of the sandbox.

    Args:
        rng: draws what is changed.
        sandbox: holds the arrays.
        below: the folder, such as ``preds/``.
        charts: names of the arrays that every reader needs.
    """
    kind = str(rng.choice(["metadata"] * 6 + ["text", "chunk", "chunk", "chunk", "kind", "attack"]))
    if kind == "attack":
        return _attack(rng, sandbox, below, charts)
    if kind == "kind":
        name = str(rng.choice(sandbox.files(below)))
        words = damage_file(rng, sandbox, name)
        return _judge_file(name, words, charts)
    if kind == "chunk":
        return _damage_chunk(rng, sandbox, below, charts)
    name = str(rng.choice([file for file in sandbox.files(below) if is_metadata(file)]))
    content = sandbox.pristine(name)
    if kind == "text":
        changed, words = damage_json_text(rng, content)
        sandbox.write(name, changed)
        return Damage(f"{name}: {words}")
    document = json.loads(content)
    is_array = "shape" in document
    if is_array and rng.random() < 0.6:
        words, must = _change_array(rng, document)
        sandbox.write(name, dump_document(document))
        must = must and _array_of(name) in charts
        return refused(f"{name}: {words}") if must else Damage(f"{name}: {words}")
    edit = edit_document(rng, document)
    sandbox.write(name, dump_document(edit.document))
    return Damage(f"{name}: {edit.words}")


def _array_of(name: str) -> str:
    """Name of the array that a file of predictions belongs to: preds/SCENE/ARRAY/..."""
    parts = name.split("/")
    return parts[2] if len(parts) > 3 else ""


def _judge_file(name: str, words: str, charts: tuple[str, ...]) -> Damage:
    # Holding another chart's file it may be a prediction like any other.
    if _array_of(name) in charts and " is " in words and not is_metadata(name):
        return refused(words, "score", same=False) if "gone" in words else refused(words)
    return Damage(words)


def _damage_chunk(rng: Rng, sandbox: Sandbox, below: str, charts: tuple[str, ...]) -> Damage:
    name = str(rng.choice([file for file in sandbox.files(below) if not is_metadata(file)]))
    if rng.random() < 0.2:
        sandbox.remove(name)
        # Its fill value says that there is no prediction, which only a truth can object to.
        is_chart = _array_of(name) in charts
        return Damage(f"{name} is gone", frozenset({"score"} if is_chart else ()))
    changed, words = damage_bytes(rng, sandbox.pristine(name))
    sandbox.write(name, changed)
    # Tie points are no part of a score.
    return Damage(f"{name}: {words}", same=True)


def _attack(rng: Rng, sandbox: Sandbox, below: str, charts: tuple[str, ...]) -> Damage:
    scene = sandbox.files(below)[0].split("/")[1]
    chart, attack = str(rng.choice(charts)), str(rng.choice(sorted(ATTACKS)))
    extra = rng.random() < 0.3
    name = f"{below}{scene}/{'extra' if extra else chart}"
    write_attack(sandbox.remove(name), attack, sandbox.marker)
    words = f"{name} runs code when decoded ({attack})"
    return Damage(words, same=True) if extra else refused(words)


def _change_array(rng: Rng, document: dict[str, Any]) -> tuple[str, bool]:
    """Change one field of an array's metadata; return words, and whether it must be refused."""
    is_v3 = document.get("zarr_format") == 3
    kind = str(
        rng.choice(["shape", "shape", "dtype", "chunks", "codecs", "codecs", "fill", "other"])
    )
    shape = document["shape"]
    match kind:
        case "shape":
            shapes: tuple[Any, ...] = (
                *([], [0, 0], [-1, 5], shape[::-1], [1, *shape], shape[:1], [10**9, 10**9]),
                *(
                    [2**63, 2],
                    ["5", "5"],
                    [None, 1],
                    [1.5, 2],
                    "x",
                    None,
                    [shape[0] + 1, *shape[1:]],
                ),
                [200_000, 200_000],
            )
            new = shapes[int(rng.integers(len(shapes)))]
            document["shape"] = new
            return f"shape {new}", new != shape
        case "dtype":
            new = str(rng.choice(_DTYPES))
            document["data_type" if is_v3 else "dtype"] = new
            unsafe = new in ("string", "variable_length_bytes", "|O", "r8", "null", "complex64")
            return f"dtype {new}", unsafe
        case "chunks":
            sizes: tuple[Any, ...] = (
                *(
                    [0, 0],
                    [1, 1],
                    [-1, 1],
                    [10**9, 10**9],
                    [7],
                    [3, 3, 3],
                    [],
                    None,
                    "auto",
                    [7, 7],
                ),
            )
            new = sizes[int(rng.integers(len(sizes)))]
            if is_v3:
                document["chunk_grid"] = {"name": "regular", "configuration": {"chunk_shape": new}}
            else:
                document["chunks"] = new
            return f"chunks {new}", False
        case "codecs" if is_v3:
            codec = _CODECS[int(rng.integers(len(_CODECS)))]
            codecs = document["codecs"]
            how = str(rng.choice(["only", "first", "last", "instead"]))
            place = int(rng.integers(len(codecs)))
            document["codecs"] = {
                "only": [codec],
                "first": [codec, *codecs],
                "last": [*codecs, codec],
                "instead": [*codecs[:place], codec, *codecs[place + 1 :]],
            }[how]
            name = codec.get("name") if isinstance(codec, dict) else None
            return f"codec {codec} {how}", name in FORBIDDEN_CODECS
        case "fill":
            document["fill_value"] = new = _FILLS[int(rng.integers(len(_FILLS)))]
            return f"fill_value {new!r}", False
    keys = [
        *("zarr_format", "node_type", "storage_transformers", "chunk_key_encoding", "attributes"),
        *("dimension_names", "codecs", "order", "filters", "compressor", "dimension_separator"),
    ]
    key = str(rng.choice(keys))
    document[key] = value = odd_value(rng)
    return f"{key} {value!r:.60}", False
