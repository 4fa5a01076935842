"""Errors that a user can act on.

Every message is one line that says what was found, what was expected, where, and what to do.
The command line prints it without a traceback and exits with status 1. What the system refuses
(``OSError``, ``MemoryError``) and nobody explained better is one line there, too; anything else is
a bug and keeps its traceback.
"""


class AutoIceError(Exception):
    """Base of every expected failure."""


class SceneError(AutoIceError):
    """A source scene (RTT or raw NetCDF) is unreadable or breaks the format."""


class NoSceneError(SceneError):
    """A source holds no scene of the kind looked for."""


class LabelError(AutoIceError):
    """Ice-chart codes or label options that cannot be turned into labels."""


class StoreError(AutoIceError):
    """A store is missing, damaged, busy, of another format version or made with other options."""


class SplitError(AutoIceError):
    """A split is unknown, cannot be built from the scenes at hand, or breaks its own rule."""


class PatchError(AutoIceError):
    """Patches that cannot be drawn from a store: wrong options, or no eligible window."""


class PredictionError(AutoIceError):
    """A prediction is missing, malformed or does not fit the truth."""


class PictureError(AutoIceError):
    """A picture cannot be made as asked: unknown channel, window outside the scene, file there."""


class LeaderboardError(AutoIceError):
    """A submission or leaderboard folder is invalid or would be overwritten."""


class BaselineError(AutoIceError):
    """A recipe, network, its weights or a run is unknown, malformed or does not fit the data."""


class ClusterError(AutoIceError):
    """A dask cluster is not there, lacks workers or this version, or sees other files."""
