"""The fixtures of the scoring tests, for the commands that score."""

from tests.scoring.conftest import predictions, rtt, store

__all__ = ["predictions", "rtt", "store"]
