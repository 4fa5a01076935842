"""One scene of either kind, ready-to-train or raw, into one ``SceneArrays``.

``scenes`` is the door: it lists a folder and reads a scene. ``rtt`` and ``raw_conversion`` check
and convert the two kinds; ``charts``, ``tie_points``, ``float16`` and ``buffers`` serve both.
"""
