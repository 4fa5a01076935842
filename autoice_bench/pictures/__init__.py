"""Every drawing: scenes, charts, predictions, comparisons.

Reads stores, predictions and tables, never networks; matplotlib is imported here and nowhere
else. ``show`` is the door for one scene.
"""
