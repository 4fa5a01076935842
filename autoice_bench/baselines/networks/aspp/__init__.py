"""``aspp``: multi-task DeepLab, a ResNet encoder and one atrous spatial pyramid per chart.

``settings`` is what a recipe may set, ``network`` the module. Source: Vahedi et al. 2025,
arXiv:2507.20507.
"""
