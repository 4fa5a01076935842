"""Scenes, ready-to-train and raw, and their folder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import h5py

from autoice_bench.datasets.sources.rtt import read_scene
from autoice_bench.datasets.sources.scenes import list_source, read_source_scene
from tests.hostile.fuzzing.byte_damage import damage_bytes, damage_file
from tests.hostile.fuzzing.cases import Action, Damage, Rng, Target, refused
from tests.hostile.fuzzing.document_damage import (
    ESCAPE,
    FORGED,
)
from tests.hostile.fuzzing.netcdf_damage import damage_netcdf
from tests.hostile.fuzzing.sandbox import OUT, OUTSIDE, Sandbox
from tests.hostile.fuzzing.targets.answers import (
    CHARTS,
    digest,
    no_answer,
)


def _damage_scenes(rng: Rng, sandbox: Sandbox) -> Damage:
    kind = rng.random()
    if kind < 0.08:
        return _damage_csv(rng, sandbox)
    names = sandbox.files("rtt/", ".nc")
    name = str(rng.choice(names))
    content = sandbox.pristine(name)
    if kind < 0.16:
        words = damage_file(rng, sandbox, name)
        return Damage(words)
    if kind < 0.3:
        changed, words = damage_bytes(rng, content)
        sandbox.write(name, changed)
        return Damage(f"{name}: {words}")
    sandbox.write(name, content)
    variables = CHARTS if "reference" in name else _SCENE_VARIABLES
    outside = sandbox.root / OUTSIDE
    damage = damage_netcdf(rng, sandbox.root / name, variables, outside, dtype_counts=True)
    words = f"{name}: {damage.words}"
    # A dry run reads no values.
    if damage.must_be_refused_by("read"):
        return refused(words, "read", "prepare", "prepare and skip", same=False)
    return Damage(words, same=damage.same)


_SCENE_VARIABLES: Final = (
    *("nersc_sar_primary", "nersc_sar_secondary", "sar_incidenceangle", "distance_map"),
    *("sar_grid2d_latitude", "sar_grid2d_longitude", "btemp_6_9h", "btemp_89_0v", "t2m", "tclw"),
)


def _damage_csv(rng: Rng, sandbox: Sandbox) -> Damage:
    name = "rtt/metadata.csv"
    text = sandbox.pristine(name).decode()
    kind = int(rng.integers(8))
    changes: tuple[bytes, ...] = (
        damage_bytes(rng, text.encode())[0],
        b"\xef\xbb\xbf" + text.encode(),
        text.replace("CentralEast", f'"{ESCAPE}\n{FORGED}"').encode(),
        text.replace("CentralEast", "y" * 200_000).encode(),
        text.replace("CentralEast", "Grønland").encode("latin-1"),
        text.replace("input_path", "path").encode(),
        (text.splitlines()[0] + "\n" + "a,b\n" * 1000).encode(),
        text.replace("train/", "../outside/").replace("\n", "\0\n").encode(),
    )
    sandbox.write(name, changes[kind])
    return Damage(f"{name}: change {kind}")


def _read_scenes(sandbox: Sandbox) -> object:
    found = list_source(sandbox.root / "rtt").scenes
    return [digest(read_scene(scene).sar) for scene in found]


_PREPARE: Final = ("prepare", "rtt", f"{OUT}/x.zarr", "--workers", "1")
SCENES = Target(
    "scenes",
    {"rtt": "scenes"},
    _damage_scenes,
    (
        Action("read", call=_read_scenes, weight=3),
        Action("prepare", _PREPARE, weight=0.5),
        Action("prepare and skip", (*_PREPARE, "--on-error", "skip"), weight=0.5, lists=True),
        Action("prepare --dry-run", (*_PREPARE, "--dry-run"), weight=0.5, answer=no_answer),
    ),
    share=1.5,
)


# Raw scenes.

_RAW_VARIABLES: Final = (
    *("nersc_sar_primary", "nersc_sar_secondary", "polygon_icechart", "distance_map"),
    *("btemp_6_9h", "btemp_89_0v", "t2m", "tclw"),
)
_CODES: Final = "polygon_codes"
_EGG: Final = "92;70;97;05;20;95;05;10;97;05;-9;-9;0505"
_ROWS: Final = (
    *("", ";", ";" * 14, "x", f"3;{_EGG}", f"3;{_EGG};I", "3;3;3" * 1000, f"\u0663;{_EGG};I"),
    *(f"99999999999999999999;{_EGG};I", f"{ESCAPE};{_EGG};\n{FORGED}", f"-1;{_EGG};I"),
    *("3;nan;70;97;05;-9;-9;-9;-9;-9;-9;-9;-9;05-9;I", "3;1e3;-70;97.5;05;20;95;05;;;;;;;I"),
)


def _damage_raw(rng: Rng, sandbox: Sandbox) -> Damage:
    name = sandbox.files("rtt/", ".nc")[0]
    content = sandbox.pristine(name)
    kind = rng.random()
    if kind < 0.1:
        changed, words = damage_bytes(rng, content)
        sandbox.write(name, changed)
        return Damage(words)
    sandbox.write(name, content)
    path, outside = sandbox.root / name, sandbox.root / OUTSIDE
    if kind < 0.4:
        return _damage_codes(rng, path)
    damage = damage_netcdf(rng, path, _RAW_VARIABLES, outside, dtype_counts=True)
    # Raw scenes have holes, and their 2 km cells may be all of them.
    if not damage.refused_by or " everywhere" in damage.words or "empty" in damage.words:
        return Damage(damage.words)
    return refused(damage.words, "read", "prepare", same=False)


def _damage_codes(rng: Rng, path: Path) -> Damage:
    """Change the table of the ice chart's polygons."""
    with h5py.File(path, "r+", locking=False) as file:
        rows = list(file[_CODES].asstr()[...])
        place = int(rng.integers(len(rows)))
        match int(rng.integers(4)):
            case 0:
                words, rows[place] = "odd row", _ROWS[int(rng.integers(len(_ROWS)))]
            case 1:
                changed, words = damage_bytes(rng, rows[place].encode())
                rows[place] = changed.decode("latin-1").replace("\0", "0")
            case 2:
                words, rows = "rows twice", rows + rows
            case _:
                words, rows = "no rows", rows[: int(rng.integers(2))]
        del file[_CODES]
        file.create_dataset(_CODES, data=rows, dtype=h5py.string_dtype(), shape=(len(rows),))
    return Damage(f"polygon codes: {words}, {place}")


def _read_raw(sandbox: Sandbox) -> object:
    found = list_source(sandbox.root / "rtt").scenes
    return [digest(read_source_scene(scene, "float16", ice_types=True).sar) for scene in found]


RAW_SCENES = Target(
    "raw-scenes",
    {"rtt": "raw"},
    _damage_raw,
    (
        Action("read", call=_read_raw, weight=4),
        Action("prepare", (*_PREPARE, "--ice-types"), weight=0.5),
        Action("labels", ("labels", "rtt"), weight=0.5, answer=no_answer),
    ),
)
