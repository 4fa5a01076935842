"""``show``: a scene, its charts and a prediction as a picture."""

from __future__ import annotations

import os
from pathlib import Path

import click

from autoice_bench.commands.base import PATH, AutoIceCommand
from autoice_bench.commands.paths import parse_path
from autoice_bench.scene_id import is_scene_name, parse_scene_id

_SUFFIXES = (".png", ".pdf")


def _parse_window(
    _: click.Context, __: click.Parameter, value: str | None
) -> tuple[int, int, int, int] | None:
    if value is None:
        return None
    try:
        line, sample, lines, samples = (int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not LINE,SAMPLE,LINES,SAMPLES, such as 1000,2000,768,768"
        ) from None
    return line, sample, lines, samples


def _parse_out(_: click.Context, __: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and value.suffix.lower() not in _SUFFIXES:
        raise click.BadParameter(f"{value} must end in {' or '.join(_SUFFIXES)}")
    return value


@click.command(cls=AutoIceCommand)
@click.argument("store_and_scene", metavar="[STORE] SCENE", nargs=-1, required=True, type=PATH)
@click.option(
    "--out",
    type=PATH,
    callback=_parse_out,
    help="The picture, .png or .pdf. [default: SCENE.png]",
)
@click.option(
    "--channels",
    metavar="NAMES",
    help="Variables to show beside the charts, separated by commas; wind_speed is one, HH and HV "
    "are understood. [default: HH, HV, 18.7 GHz H, 36.5 GHz V, wind speed, air temperature]",
)
@click.option(
    "--prediction",
    type=PATH,
    metavar="PREDICTIONS",
    help="Also show the prediction in this folder or file, its errors and the scene's scores.",
)
@click.option(
    "--window",
    metavar="LINE,SAMPLE,LINES,SAMPLES",
    callback=_parse_window,
    help="Show only these pixels: the first line and sample, then how many.",
)
@click.option("--overwrite", is_flag=True, help="Replace a picture that is there.")
def show(
    *,
    store_and_scene: tuple[Path, ...],
    out: Path | None,
    channels: str | None,
    prediction: Path | None,
    window: tuple[int, int, int, int] | None,
    overwrite: bool,
) -> None:
    """Draw SCENE of STORE (default: autoice.zarr): SAR, other channels and the three charts.

    With --prediction the predicted charts stand beside them, with a map of the errors and the
    scores of the scene. AUTOICE_STORE overrides the default store.
    """
    from autoice_bench.pictures.channels import DEFAULT_CHANNELS
    from autoice_bench.pictures.show import show as run

    path, scene_id = _split_arguments(store_and_scene)
    target = Path(f"{scene_id}.png") if out is None else out
    run(
        path,
        scene_id,
        channels=DEFAULT_CHANNELS if channels is None else channels,
        prediction=prediction,
        window=window,
        out=target,
        overwrite=overwrite,
    )
    click.echo(f"{target} written")


def _split_arguments(arguments: tuple[Path, ...]) -> tuple[Path, str]:
    """Path of the store and id of the scene.

    A scene's name has a form of its own, so that one argument alone is never doubtful.
    """
    *stores, scene = arguments
    if len(stores) > 1:
        raise click.UsageError(f"got {len(arguments)} arguments; expected SCENE or STORE SCENE")
    if not stores and not is_scene_name(scene.name) and scene.is_dir():
        raise click.UsageError(f"{scene} is a folder, no scene: name the scene after it")
    path = stores[0] if stores else parse_path(os.environ.get("AUTOICE_STORE") or "autoice.zarr")
    return path, str(parse_scene_id(str(scene)))
