"""A network in words."""

from __future__ import annotations

from collections.abc import Iterator

from autoice_bench.baselines.insight.describe import (
    TAPS,
    NetworkDescription,
    format_shape,
)


def format_description(description: NetworkDescription) -> str:
    """The description as text, one subject per line; warnings come last."""
    return "\n".join(_format_lines(description))


def _format_lines(description: NetworkDescription) -> Iterator[str]:
    patch, scene = description.patch_size, description.scene_size
    yield f"network: {description.network}, {description.n_channels} input channels"
    yield f"parameters: {description.parameters:,}"
    yield (
        f"forward pass: {description.patch_gmac:,.2f} GMAC per {format_shape(patch)} patch, "
        f"{description.scene_gmac:,.0f} GMAC per {format_shape(scene)} scene"
    )
    yield (
        f"receptive field: {description.receptive_field_px} pixels of "
        f"{description.pixel_spacing_m} m, {description.receptive_field_km:.1f} km"
        + _format_fields(description.receptive_fields_px)
    )
    if description.taps:
        of_patch = format_shape(description.patch_features)
        of_scene = format_shape(description.scene_features)
        yield (
            f"taps that meet data, mean of {TAPS}, on the feature map of a patch ({of_patch}) "
            f"and of a scene ({of_scene}):"
        )
    for use in description.taps:
        yield (
            f"  rate {use.rate:3d}  patch {_share(use.training)}  scene {_share(use.scene)}  "
            f"{', '.join(use.charts)}"
        )
    yield from (f"warning: {text}" for text in description.warnings)


def _format_fields(fields: dict[str, int]) -> str:
    if len(set(fields.values())) == 1:
        return ""
    return f" ({', '.join(f'{chart} {field}' for chart, field in fields.items())})"


def _share(taps: float) -> str:
    return f"{taps:.2f} ({taps / TAPS:4.0%})"
