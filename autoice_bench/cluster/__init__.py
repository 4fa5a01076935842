"""Work on a dask cluster that runs already: one way in for every room that sends scenes there.

``client`` opens a scheduler and makes sure of its workers, ``jobs`` hands out work and takes what
comes of it, ``same_files`` proves that a worker sees the files that the client sees. Nothing here
knows what the work is. Dask takes half a second to import and is imported inside functions.
"""
