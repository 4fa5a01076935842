"""From scenes on disk to batches in memory.

The names spell the way: ``sources`` -> ``store`` -> ``readers`` -> ``patches`` -> ``batches``.
Beside it stand the ``labels`` (egg codes to classes), ``splits``, ``checks``, ``prepare`` (the
run that fills a store) and ``simulate``. Nothing here knows of scores or networks.
"""
