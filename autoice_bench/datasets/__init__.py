"""Scenes in, store out: simulated and released scenes, labels, splits, patches."""
