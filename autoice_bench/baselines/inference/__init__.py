"""From trained runs and scenes to predictions.

``predict`` is the door; ``trained_runs`` opens networks, ``scene`` predicts one scene, whole or
in ``tiles``, ``probability_files`` writes class probabilities beside the charts.
"""
