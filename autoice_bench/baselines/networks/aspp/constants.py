"""What the settings and the module of the multi-task DeepLab share, without torch."""

from __future__ import annotations

from typing import Final, Literal, get_args

EncoderName = Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]

ENCODERS: Final[tuple[EncoderName, ...]] = get_args(EncoderName)

STRIDE: Final = 16
"""Input pixels per pixel of the feature map, along either axis."""
