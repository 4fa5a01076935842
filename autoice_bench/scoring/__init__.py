"""Standalone scorer: predictions in, leaderboard out. Imports no torch and no other subpackage."""
