"""Networks: one folder each, with its settings and its module; ``registry`` finds them.

``contract`` says what a network is, ``foreign`` lets a recipe name one outside the package;
``cost`` follows a forward pass without data, ``strips`` and ``encoder_weights`` serve the
networks. Nothing here knows recipes or runs.
"""
