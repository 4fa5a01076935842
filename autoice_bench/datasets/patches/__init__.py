"""Which patches are drawn, where they lie, and reading them.

``geometry`` is pure arithmetic of windows and 2 km cells, ``patch_rule`` says how many labels a
window needs, ``eligible`` finds those that have them, ``plan`` draws among them, ``windows`` reads
them into buffers. The doors: ``opening`` puts these together for a store, ``array_windows`` for one
scene in memory, ``window_dataset`` gives one window as an xarray dataset.
"""
