"""What a network does, in figures: parameters, cost, receptive fields, taps in use.

``describe`` is the door.
"""
