"""Simulated scenes in the official layout, ready-to-train and raw (docs/simulation.md).

``run`` is the door: it plans and writes a data set; ``scene`` makes one scene in memory from a
``scene_spec``. The rest is physics, one subject a module. For tests, demonstrations and
benchmarks.
"""
