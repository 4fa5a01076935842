"""Predictions on disk: NetCDF per scene, ``upload_package.nc``, or Zarr (docs/predictions.md).

``reading`` finds and checks them, ``writing`` writes and converts them. Files here come from
strangers.
"""
