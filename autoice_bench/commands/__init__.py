"""The command line: one file per command, named as it is typed.

A command parses options, calls one function of the library and prints what ``text`` makes of its
answer. Nothing imports a command, and modules here import heavy ones inside their functions, so
that ``--help`` is instant. ``base`` holds what commands share, ``paths`` what is understood as a
path, ``failures`` and ``streams`` what the system may refuse, ``progress`` the bar.
"""
