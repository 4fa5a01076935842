"""``unet``: the U-Net of the challenge's winner, with a shared decoder or one per chart.

``settings`` is what a recipe may set, ``network`` the module. Source: Chen et al. 2024 (MMSeaIce),
doi:10.5194/tc-18-1621-2024.
"""
