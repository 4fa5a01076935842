"""Who may import whom: one ordered table of rooms, checked against every module's real imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import autoice_bench

PACKAGE = Path(autoice_bench.__file__).parent

VOCABULARY = ("callbacks", "charts", "errors", "official", "scene_id", "wording", "worker_rule")

ORDER: tuple[tuple[str, ...], ...] = (
    ("vocabulary",),
    ("formats",),
    ("cluster",),
    # The data sets.
    ("datasets.labels", "datasets.splits"),
    ("datasets.sources",),
    ("datasets.store", "datasets.simulate"),
    ("datasets.readers", "datasets.checks"),
    ("datasets.patches", "datasets.prepare"),
    ("datasets.batches",),
    # The scorer.
    ("scoring.truth",),
    ("scoring.metrics", "scoring.scene_map"),
    ("scoring.predictions",),
    ("scoring.evaluate",),
    ("scoring.scores",),
    ("scoring.leaderboard",),
    ("scoring.score",),
    # The baselines.
    ("baselines.machine", "baselines.settings"),
    ("baselines.inputs", "baselines.tasks"),
    ("baselines.networks",),
    ("baselines.recipes",),
    ("baselines.runs",),
    ("baselines.inference",),
    ("baselines.training", "baselines.insight", "baselines.floors"),
    ("baselines.experiments",),
    # What is shown.
    ("pictures",),
    ("text",),
    ("commands",),
    ("cli",),
    ("__main__",),
)
"""Rooms, lowest first: a module imports its own room and lower lines; never its own line's others.

``docs/architecture.md`` shows the same table as a picture.
"""

FORBIDDEN: dict[str, tuple[str, ...]] = {
    # A third party scores with a light install, and data sets know nothing of scores.
    "scoring": ("datasets", "baselines"),
    "datasets": ("scoring", "baselines"),
    "pictures": ("baselines",),
}
"""What a part of the package must not import although it lies lower."""

LEVELS = {room: level for level, rooms in enumerate(ORDER) for room in rooms}

ARRAYS = {"numpy", "xarray", "zarr", "pandas", "pyarrow"}
TORCH = {"torch", "torchvision"}
NETCDF = {"deflate", "h5py", "netCDF4"}
DASK = {"dask", "distributed"}
# What zarr itself is made of; chunks are decoded with it.
CODECS = {"google_crc32c", "numcodecs"}
SCORING_STACK = ARRAYS | NETCDF | DASK | CODECS
DATASETS_STACK = SCORING_STACK | {"rich", "scipy"}
OUTSIDE: dict[str, set[str]] = {
    **{name: set() for name in VOCABULARY},
    "formats": NETCDF | CODECS | {"numpy", "pyarrow"},
    "cluster": DASK,
    "scoring": SCORING_STACK,
    "datasets": DATASETS_STACK,
    "pictures": {"matplotlib", "numpy"},
    "text": ARRAYS,
}
"""Packages that a part may use beside the standard library; the rest may use any."""


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
ROOMS = [
    name
    for name, path in MODULES.items()
    if path.name == "__init__.py" and name not in ("", "datasets", "baselines", "scoring")
]


def imported(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    """Absolute names imported anywhere in a module, with the statement."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide who imports whom"
            base = node.module or ""
            yield base, node
            for alias in node.names:
                # `from autoice_bench import charts` imports the module, not a name.
                if f"{base}.{alias.name}".removeprefix("autoice_bench.") in MODULES:
                    yield f"{base}.{alias.name}", node


def imports_of(name: str) -> tuple[set[str], set[str]]:
    """Own modules (without the package's name) and outside packages that a module imports."""
    own, outside = set(), set()
    for target, _ in imported(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        top, _, rest = target.partition(".")
        if top == "autoice_bench":
            own.add(rest)
        elif top not in sys.stdlib_module_names:
            outside.add(top)
    # A package is named on the way to what lies in it.
    return {target for target in own if target in MODULES and not is_parent(target)}, outside


def is_parent(name: str) -> bool:
    return name in ("", "datasets", "baselines", "scoring") or name in ROOMS


def room_of(name: str) -> str:
    """The room that a module lies in."""
    parts = name.split(".")
    if parts[0] in VOCABULARY:
        return "vocabulary"
    for n in range(len(parts), 0, -1):
        if ".".join(parts[:n]) in LEVELS:
            return ".".join(parts[:n])
    raise AssertionError(f"{name} lies in no room of ORDER")


def part_of(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


INSIDE = [name for name in MODULES if name not in ("", "datasets", "baselines", "scoring")]


@pytest.mark.parametrize("name", INSIDE)
def test_modules_import_their_own_room_and_lower_ones(name: str) -> None:
    own, _ = imports_of(name)
    room = room_of(name)
    above = {
        target
        for target in own
        if room_of(target) != room and LEVELS[room_of(target)] >= LEVELS[room]
    }
    assert not above, f"{name} ({room}) imports {sorted(above)}"


@pytest.mark.parametrize("name", [name for name in INSIDE if part_of(name) in FORBIDDEN])
def test_parts_that_must_not_know_each_other(name: str) -> None:
    own, _ = imports_of(name)
    assert not {part_of(target) for target in own} & set(FORBIDDEN[part_of(name)])


def test_no_module_imports_itself_through_others() -> None:
    graph = {name: imports_of(name)[0] - {name} for name in INSIDE}
    in_order = list(TopologicalSorter(graph).static_order())  # raises CycleError
    assert set(in_order) == set(INSIDE)


@pytest.mark.parametrize("name", [name for name in INSIDE if part_of(name) in OUTSIDE])
def test_third_party_imports(name: str) -> None:
    _, outside = imports_of(name)
    allowed = OUTSIDE[part_of(name)]
    if name == "datasets.batches.torch_datasets":  # the only torch import of the data sets
        allowed = allowed | TORCH
    assert outside <= allowed


@pytest.mark.parametrize("name", [m for m in INSIDE if part_of(m) not in ("commands", "cli")])
def test_only_commands_know_click(name: str) -> None:
    assert "click" not in imports_of(name)[1]


@pytest.mark.parametrize("name", [*ROOMS, "datasets", "baselines", "scoring"])
def test_a_room_says_what_lives_in_it_and_imports_nothing(name: str) -> None:
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    assert len(ast.get_docstring(tree) or "") > 80
    assert len(tree.body) == 1, "a room's __init__ has its paragraph and nothing else"


# ``progress`` is what a command imports when it begins to work.
@pytest.mark.parametrize(
    "name",
    [m for m in INSIDE if part_of(m) in ("cli", "commands") and m != "commands.progress"],
)
def test_command_line_imports_only_light_modules_at_the_top(name: str) -> None:
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    at_top = {target for target, node in imported(tree) if node in tree.body}
    assert "autoice_bench.commands.progress" not in at_top
    assert {part_of(target) for target in at_top} - set(sys.stdlib_module_names) <= {
        "autoice_bench",
        "click",
    }
    own = {target.partition(".")[2] for target in at_top if part_of(target) == "autoice_bench"}
    assert {part_of(target) for target in own} <= {"", "commands", *VOCABULARY}


def loaded_by(statement: str) -> set[str]:
    """Modules that a fresh interpreter loads for a statement."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_else() -> None:
    loaded = loaded_by("import autoice_bench")
    assert {name for name in loaded if name.startswith("autoice_bench")} == {"autoice_bench"}
    assert {part_of(name) for name in loaded} <= {"autoice_bench", *sys.stdlib_module_names}


def test_importing_the_command_line_loads_click_only() -> None:
    tops = {part_of(module) for module in loaded_by("import autoice_bench.cli")}
    assert tops - set(sys.stdlib_module_names) == {"autoice_bench", "click"}


def test_scoring_loads_without_torch_datasets_and_baselines() -> None:
    scoring = [f"autoice_bench.{name}" for name in MODULES if part_of(name) == "scoring"]
    loaded = loaded_by(f"import {', '.join(scoring)}")
    assert set(scoring) <= loaded
    # dask is imported when a scheduler is asked for, not before: it takes half a second.
    assert not {part_of(module) for module in loaded} & (TORCH | DASK)
    own = {module.removeprefix("autoice_bench.") for module in loaded if "autoice_bench." in module}
    assert not {part_of(name) for name in own} & {"datasets", "baselines"}
