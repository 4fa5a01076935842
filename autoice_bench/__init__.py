"""Dataset preparation and benchmark for the AutoICE / AI4Arctic sea-ice challenge."""

__version__ = "0.1.0"
