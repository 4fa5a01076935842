"""Training: one loop for every network, reading top to bottom in ``loop``.

``job`` makes what a run works with, ``state`` is where it stands, ``resuming`` what it goes on
from, ``validation`` scores whole ``scenes``; ``schedules``, ``seeding``, ``loss_watch``,
``throughput`` and ``processes`` are what their names say, ``log`` the lines of its log.
"""
