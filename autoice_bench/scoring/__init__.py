"""Predictions in, scores and a leaderboard out. Needs neither torch nor the rest of the package.

Every score is derived from joint (truth x prediction) histograms, one per scene and chart: they are
the sufficient statistic, they add, and later metrics need no predictions. The modules in the order
of the work: ``truth`` and ``predictions`` read, ``histograms`` counts, ``evaluate`` runs over the
scenes, ``metrics`` and ``uncertainty`` turn counts into numbers, ``scores`` lays them out as rows,
``submission`` and ``leaderboard`` keep and rank them.
"""
