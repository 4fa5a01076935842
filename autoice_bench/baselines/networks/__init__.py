"""Networks: one module each, with its settings, builder and cost; ``registry`` finds them.

``cost`` follows a forward pass without data, ``strips`` and ``encoder_weights`` serve the
networks.
"""
