"""Reference models: recipes, networks, training, prediction, studies.

``inputs`` and ``tasks`` say what a network gets and what it predicts; one of the ``recipes`` puts
them together with a network; ``training`` makes a run of it, ``inference`` predictions of the run,
``experiments`` many runs. The only part of the package that computes with torch.
"""
