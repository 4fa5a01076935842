"""``baseline`` and its subcommands: train, list, compare studies, fetch weights.

``run`` is the group and its default command; the others are subcommands, named as they are
typed.
"""
