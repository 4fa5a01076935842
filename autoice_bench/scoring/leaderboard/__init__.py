"""Submissions on disk, boards of them, and comparisons.

``score`` makes one of predictions, ``submission`` writes and reads it (``submission_tables``,
``submission_metadata``), ``boards`` ranks, ``compare`` tells whether two differ beyond chance,
``check`` recomputes one, ``published`` holds the literature's results.
"""
