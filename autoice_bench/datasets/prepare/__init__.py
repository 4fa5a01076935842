"""The run that fills a store: planned, shared out, interruptible.

``prepare`` is the door; ``plan`` decides scene by scene, ``job`` does one scene in any process,
``executors`` share jobs out, ``holding`` keeps two runs apart, ``extension`` adds overviews to
scenes that are there, ``estimate`` foretells size and time.
"""
