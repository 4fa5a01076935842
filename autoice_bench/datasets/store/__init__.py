"""The store: its root, its scenes, its index, and the xarray view of a scene.

``root`` opens and creates a store, ``scene_writer`` writes a scene, ``index`` keeps
scenes.parquet, ``overviews`` and ``downscaling`` make coarser copies, ``scene_dataset`` opens a
scene for people. The names and layout that others rely on are in ``formats.store_layout``.
"""
