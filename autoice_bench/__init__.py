"""Dataset preparation and benchmark for the AutoICE / AI4Arctic sea-ice challenge.

The public interface is what this module names; docs/api.md describes it. Importing the package
loads nothing else: each name brings its module when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_DOORS = {
    "prepare": "datasets.prepare.prepare",
    "Store": "datasets.store.root",
    "open_store": "datasets.store.root",
    "open_scene": "datasets.store.scene_dataset",
    "read_window": "datasets.patches.window_dataset",
    "PatchDataset": "datasets.batches.torch_datasets",
    "PatchLoader": "datasets.batches.torch_datasets",
    "SceneDataset": "datasets.batches.torch_datasets",
    "FeatureAssembler": "baselines.inputs.features",
    "allow_imports": "baselines.networks.foreign",
    "predict": "baselines.inference.predict",
    "score": "scoring.score",
    "show": "pictures.show",
}

__all__ = [
    "FeatureAssembler",
    "PatchDataset",
    "PatchLoader",
    "SceneDataset",
    "Store",
    "__version__",
    "allow_imports",
    "errors",
    "open_scene",
    "open_store",
    "predict",
    "prepare",
    "read_window",
    "score",
    "show",
]

if TYPE_CHECKING:
    from autoice_bench import errors
    from autoice_bench.baselines.inference.predict import predict
    from autoice_bench.baselines.inputs.features import FeatureAssembler
    from autoice_bench.baselines.networks.foreign import allow_imports
    from autoice_bench.datasets.batches.torch_datasets import (
        PatchDataset,
        PatchLoader,
        SceneDataset,
    )
    from autoice_bench.datasets.patches.window_dataset import read_window
    from autoice_bench.datasets.prepare.prepare import prepare
    from autoice_bench.datasets.store.root import Store, open_store
    from autoice_bench.datasets.store.scene_dataset import open_scene
    from autoice_bench.pictures.show import show
    from autoice_bench.scoring.score import score


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("autoice_bench.errors")
    if name not in _DOORS:
        raise AttributeError(f"module 'autoice_bench' has no attribute {name!r}")
    try:
        module = import_module(f"autoice_bench.{_DOORS[name]}")
    except ModuleNotFoundError as error:
        if error.name in ("torch", "lightning_fabric"):
            raise ImportError(
                f"autoice_bench.{name} needs {error.name}: pip install 'autoice-bench[train]'"
            ) from error
        raise
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
