"""From ice-chart polygons to the classes of SIC, SOD and FLOE.

``egg_codes`` reads SIGRID-3 codes, ``rules`` derives labels from one, ``tables`` does so for a
whole chart, ``rasters`` looks them up pixel by pixel, ``ice_types`` derives the ten types.
Knows no files.
"""
