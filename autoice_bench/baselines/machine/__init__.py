"""The machine that a model runs on: device, precision, memory that runs out, signals.

``devices`` chooses and explains, ``interruption`` turns signals into requests to stop.
"""
