"""Windows of scenes, fast: from shards, from memory, or downscaled.

``pixels`` is the protocol that every reader of a scene follows, ``scene`` reads one of a store,
``memory`` one in memory, ``downscaled`` makes coarser ones; ``arrays`` reads windows of one
array. No xarray and no torch: reading processes start quickly.
"""
