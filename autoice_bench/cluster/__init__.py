"""Work in other processes: on a dask cluster that runs already, or in a pool of this machine.

For a cluster there is one way in for every room that sends scenes there: ``client`` opens a
scheduler and makes sure of its workers, ``jobs`` hands out work and takes what comes of it,
``same_files`` proves that a worker sees the files that the client sees. ``processes`` is the pool
(``prepare`` has one of its own). Nothing here knows what the work is. Dask takes half a second to
import and is imported inside functions.
"""
