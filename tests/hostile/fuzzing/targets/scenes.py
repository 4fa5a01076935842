"""Ready-to-train scenes and their folder."""

from __future__ import annotations

from typing import Final

from autoice_bench.datasets.sources.rtt import read_scene
from autoice_bench.datasets.sources.scenes import list_source
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
        return refused(words, "read", "prepare", "prepare and skip")
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
        Action("prepare --dry-run", (*_PREPARE, "--dry-run"), weight=0.5),
    ),
    share=2,
)
