"""Seeded fuzzers over everything that strangers send.

A *target* is one kind of thing: a submission, predictions, a store, scenes, a split, a recipe,
a run. A seed damages its pristine copy in one way and runs one command or reader on it; the judge
says whether that was an honest refusal or a right answer. The same seed makes the same input,
whatever ran before: ``python -m tests.hostile.run TARGET SEED`` repeats one.

- ``material``: the pristine files; ``sandbox``: a copy to damage and restore;
- ``byte_damage``, ``document_damage``, ``table_damage``, ``netcdf_damage``, ``zarr_damage``,
  ``checkpoint_damage``: the generators;
- ``targets``: what is damaged, how it is read, and which damage must be refused;
- ``judge``: one input and what came of it;
- ``children``: many inputs in forked processes, so that a crash of a library is found and named;
- ``server``: a process that loads everything once.

The package itself unpacks no archives (no tar, no zip of data): the archives among its files are
checkpoints, which ``checkpoint_damage`` takes apart.
"""
