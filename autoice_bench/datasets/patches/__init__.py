"""Which patches are drawn, where they lie, and reading them.

``geometry`` is pure arithmetic of windows and 2 km cells, ``eligible`` finds the windows with
enough labels, ``plan`` draws among them, ``windows`` reads them into buffers, ``opening`` puts
these together for a store, ``window_dataset`` gives one window as an xarray dataset.
"""
