"""``baseline`` and its subcommands, one file each, named as they are typed.

``group`` is the group; ``run`` is what ``baseline RECIPE`` does. ``options`` holds the options that
several share, ``work`` what they do alike.
"""
