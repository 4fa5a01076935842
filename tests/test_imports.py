"""Who may import whom: the rules of the architecture, read from every module's source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import autoice_bench

PACKAGE = Path(autoice_bench.__file__).parent
VOCABULARY = {"charts", "errors", "scene_id", "official", "wording"}
ARRAYS = {"numpy", "xarray", "zarr", "pandas", "pyarrow"}
TORCH = {"torch", "torchvision"}
NETCDF = {"deflate", "h5py", "netCDF4"}
DASK = {"dask", "distributed"}
# What zarr itself is made of; chunks are decoded with it.
CODECS = {"google_crc32c", "numcodecs"}
# The top-level modules that read NetCDF and shards for both sides.
SHARED = {"netcdf_chunks": NETCDF | {"numpy"}, "sharding": CODECS | {"numpy"}}
SCORING_STACK = ARRAYS | NETCDF | DASK | CODECS
DATASETS_STACK = SCORING_STACK | {"rich", "scipy"}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(tree: ast.Module, package: str) -> Iterator[tuple[str, ast.stmt]]:
    """Absolute names imported anywhere in a module, with the statement."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                kept = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*kept, base]).rstrip(".")
            yield base, node
            for alias in node.names:
                # `from autoice_bench import charts` imports the module, not a name.
                if f"{base}.{alias.name}".removeprefix("autoice_bench.") in MODULES:
                    yield f"{base}.{alias.name}", node


def imports_of(name: str, path: Path) -> tuple[set[str], set[str]]:
    """Own modules (without the package's name) and outside packages that a module imports."""
    package = ".".join(["autoice_bench", *name.split(".")])
    if path.name != "__init__.py":
        package = package.rpartition(".")[0]
    own, outside = set(), set()
    for target, _ in imported(ast.parse(path.read_text(encoding="utf-8")), package):
        top, _, rest = target.partition(".")
        if top == "autoice_bench":
            own.add(rest)
        elif top not in sys.stdlib_module_names:
            outside.add(top)
    return own - {""}, outside


def owner(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


def allowed_outside(name: str) -> set[str]:
    if name in SHARED:
        return SHARED[name]
    if owner(name) == "scoring":
        return SCORING_STACK
    if owner(name) == "pictures":
        return {"matplotlib", "numpy"}
    if name == "datasets.torch_datasets":
        return DATASETS_STACK | TORCH
    return DATASETS_STACK


ALLOWED_OWN = {
    **dict.fromkeys((*VOCABULARY, *SHARED), VOCABULARY),
    "scoring": {*VOCABULARY, *SHARED, "scoring"},
    "datasets": {*VOCABULARY, *SHARED, "datasets"},
    "baselines": {*VOCABULARY, *SHARED, "datasets", "scoring", "baselines"},
    "pictures": {*VOCABULARY, "datasets", "scoring", "pictures"},
}


@pytest.mark.parametrize("name", sorted(set(MODULES) & VOCABULARY))
def test_vocabulary_needs_the_standard_library_only(name: str) -> None:
    own, outside = imports_of(name, MODULES[name])
    assert own <= VOCABULARY
    assert not outside


@pytest.mark.parametrize(
    "name", [m for m in MODULES if owner(m) in ("scoring", "datasets", "pictures", *SHARED)]
)
def test_third_party_imports(name: str) -> None:
    _, outside = imports_of(name, MODULES[name])
    assert outside <= allowed_outside(name)


@pytest.mark.parametrize("name", [m for m in MODULES if owner(m) in ALLOWED_OWN])
def test_layers(name: str) -> None:
    own, _ = imports_of(name, MODULES[name])
    assert {owner(target) for target in own} <= ALLOWED_OWN[owner(name)]


@pytest.mark.parametrize(
    "name", [m for m in MODULES if owner(m) not in ("cli", "commands", "__main__")]
)
def test_nothing_imports_the_command_line(name: str) -> None:
    own, outside = imports_of(name, MODULES[name])
    assert not {"cli", "commands"} & {owner(target) for target in own}
    assert "click" not in outside


@pytest.mark.parametrize("name", [m for m in MODULES if owner(m) not in ("commands", "pictures")])
def test_only_commands_import_pictures(name: str) -> None:
    own, _ = imports_of(name, MODULES[name])
    assert "pictures" not in {owner(target) for target in own}


def test_datasets_package_does_not_load_torch_datasets() -> None:
    own, outside = imports_of("datasets", MODULES["datasets"])
    assert "datasets.torch_datasets" not in own
    assert not outside & TORCH


@pytest.mark.parametrize("name", [m for m in MODULES if owner(m) in ("cli", "commands")])
def test_command_line_imports_only_light_modules_at_the_top(name: str) -> None:
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    at_top = {target for target, node in imported(tree, "autoice_bench") if node in tree.body}
    assert {owner(target) for target in at_top} - set(sys.stdlib_module_names) <= {
        "autoice_bench",
        "click",
    }
    own = {target.partition(".")[2] for target in at_top if owner(target) == "autoice_bench"}
    assert {owner(target) for target in own} <= {"", "commands", *VOCABULARY}


def loaded_by(statement: str) -> set[str]:
    """Modules that a fresh interpreter loads for a statement."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_else() -> None:
    assert loaded_by("import autoice_bench") == {"autoice_bench"}


def test_importing_the_command_line_loads_click_only() -> None:
    tops = {owner(module) for module in loaded_by("import autoice_bench.cli")}
    assert tops - set(sys.stdlib_module_names) == {"autoice_bench", "click"}


def test_scoring_loads_without_torch_datasets_and_baselines() -> None:
    scoring = [f"autoice_bench.{name}" for name in MODULES if owner(name) == "scoring"]
    loaded = loaded_by(f"import {', '.join(scoring)}")
    assert set(scoring) <= loaded
    # dask is imported when a scheduler is asked for, not before: it takes half a second.
    assert not {owner(module) for module in loaded} & (TORCH | DASK)
    own = {module.removeprefix("autoice_bench.") for module in loaded if "autoice_bench." in module}
    assert not {owner(name) for name in own} & {"datasets", "baselines"}
