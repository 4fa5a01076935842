"""Simulated scenes in the official layout, with the physics of the real ones.

``simulate`` writes a data set; ``simulate_scene`` makes one scene in memory. The numbers behind
the physics, with their sources and confidence, are in docs/simulation.md.
"""

from autoice_bench.datasets.simulate.run import SimulatedSource, simulate
from autoice_bench.datasets.simulate.scenario import plan_scenes
from autoice_bench.datasets.simulate.scene import SimulatedScene, simulate_scene
from autoice_bench.datasets.simulate.scene_spec import SceneSpec

__all__ = [
    "SceneSpec",
    "SimulatedScene",
    "SimulatedSource",
    "plan_scenes",
    "simulate",
    "simulate_scene",
]
