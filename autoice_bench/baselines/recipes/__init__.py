"""Recipes: every setting of a training run, checked.

``recipe`` holds the fields, ``values`` reads and checks one, ``loading`` resolves names, files
and settings; ``published/*.toml`` are the recipes that come with the package.
"""
