"""Scores of sea-ice charts: predictions and truth in, tables and leaderboards out.

Stands alone: it imports neither torch nor the ``datasets`` and ``baselines`` beside it, so a
third party scores with a light install. ``truth`` and ``predictions`` read, ``evaluate`` counts
joint histograms, ``metrics`` makes scores of histograms, ``scores`` tables of them,
``leaderboard`` keeps and compares them. Everything is exact on integers until the last step.
"""
