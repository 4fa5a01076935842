"""Submissions on disk, boards of them, and comparisons.

``submission`` writes and reads one (``submission_tables``, ``submission_metadata``), ``boards``
ranks, ``compare`` tells whether two differ beyond chance, ``check`` recomputes one, ``published``
holds the literature's results. What makes one of predictions is ``scoring.score``.
"""
