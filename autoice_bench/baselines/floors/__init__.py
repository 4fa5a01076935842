"""Floors: predictions that need no network, which every network must beat.

``predict`` is the door: the majority class, and one threshold per chart on AMSR2.
"""
