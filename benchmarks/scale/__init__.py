"""What large things cost: a board of many submissions and the like, one module a part.

Run ``python -m benchmarks.scale PART``. Each part makes its own large thing with small content,
runs the plain commands on it, each in a process of its own, and writes its section of
benchmarks/results/scale.md; the other sections stay. A part is a module with ``DESCRIPTION``,
``add_options`` and ``run``, and a line in ``benchmarks.scale.__main__``.
"""
