"""Typed settings: from the text of a file or the command line to checked values, and back.

``values`` reads, converts, checks and writes one value. Networks, tasks and recipes declare their
settings as frozen dataclasses and share it; it knows none of them.
"""
