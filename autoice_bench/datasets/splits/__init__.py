"""Who trains, validates and tests, and whether the sides know too much of each other.

``named`` makes the published splits, ``created`` new ones, both from ``scene_table``;
``passes``, ``footprints`` and ``leaks`` tell which scenes show the same ice. The files are
``formats.split_file``.
"""
