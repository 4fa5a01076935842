"""Which scenes train, validate and test, and whether test scenes leak into training.

``named`` makes the published splits, ``created`` new ones, both from ``scene_table``;
``passes``, ``footprints`` and ``leaks`` tell which scenes show the same ice. The files are
``formats.split_file``.
"""
