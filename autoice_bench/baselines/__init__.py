"""Baselines: simple floors, and the published networks."""
