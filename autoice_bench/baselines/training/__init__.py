"""Training: one loop for every network, reading top to bottom in ``loop``.

``job`` makes what a run works with, ``state`` is where it stands, ``validation`` scores whole
scenes, ``schedules``, ``seeding`` and ``loss_watch`` are what their names say, ``log`` its
lines.
"""
