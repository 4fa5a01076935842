"""From joint histograms to scores.

``histograms`` counts, ``formulas`` computes one number from counts, ``definitions`` is the table
of all metrics with unit, direction and version, ``groups`` sums scenes, ``uncertainty``
resamples them.
"""
