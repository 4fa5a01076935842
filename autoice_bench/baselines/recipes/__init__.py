"""Recipes: every setting of a training run, checked.

``recipe`` holds the fields, in parts; ``parts`` brings names and tables into them, ``loading``
resolves names, files and settings; ``published/*.toml`` are the recipes that come with the package.
Networks and tasks lie below and know no recipe.
"""
