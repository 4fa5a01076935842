"""The run that fills a store: planned, shared out, interruptible.

``prepare`` is the door; ``plan`` decides scene by scene, ``job`` does one scene in any process,
``executors`` share jobs out among the ``worker_pool`` or a cluster, ``holding`` keeps two runs
apart, ``replacement`` changes a store's options, ``extension`` adds overviews to scenes that are
there, ``estimate`` estimates size and time.
"""
