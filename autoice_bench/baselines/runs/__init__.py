"""The folder of a run: record, checkpoints, metrics, environment.

``folder`` is the door, ``checkpoints`` reads and writes networks, ``listing`` lists runs,
``naming`` names them from what differs.
"""
