"""Proof that a store is what it says, and reports of what it holds.

``verify`` is the door; it compares with the sources (``source_comparison``, ``raw_comparison``,
``grid_anchor``). ``label_report`` tells what a label rule does, ``store_report`` what a store
holds.
"""
