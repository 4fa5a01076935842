"""The pictures of ``show``: what is computed for them, and that they show the right colours."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread
from numpy.typing import NDArray

from autoice_bench.charts import CHARTS, FLOE, SIC, SOD
from autoice_bench.cli import main
from autoice_bench.datasets.patches.geometry import Window
from autoice_bench.datasets.readers.scene import open_scene_reader
from autoice_bench.datasets.store.root import open_store
from autoice_bench.datasets.store.scene_dataset import open_scene
from autoice_bench.errors import PictureError
from autoice_bench.pictures import captions as wordings
from autoice_bench.pictures import kinds, layout, rasters
from autoice_bench.pictures.channels import CHANNELS, parse_channels
from autoice_bench.pictures.comparisons import compare_scene
from autoice_bench.pictures.drawing import DOTS_PER_INCH, draw_scene, save_figure
from autoice_bench.pictures.views import view_scene
from autoice_bench.scoring.predictions.writing import write_prediction
from autoice_bench.wording import is_printable

U8 = NDArray[np.uint8]
CLI = (sys.executable, "-m", "autoice_bench")


def u8(*rows: list[int]) -> U8:
    return np.array(rows, np.uint8)


# --- what a pixel is


def test_errors_of_sic_are_signed_and_in_steps() -> None:
    truth = u8([0, 0, 5, 5, 10, 3, 255, 2])
    prediction = u8([0, 1, 3, 9, 0, 0, 4, 11])
    labels = [kind.label for kind in kinds.error_kinds(SIC)]
    found = kinds.find_errors(truth, prediction, SIC)[0]
    assert [labels[k] if k != 255 else None for k in found] == [
        "right", "+10 %", "−20 %", "+30 or +40 %", "−50 % or below", "−30 or −40 %", None,
        "mask class",
    ]  # fmt: skip


@given(truth=st.integers(0, 10), prediction=st.integers(0, 10))
def test_a_step_of_sic_says_the_difference(truth: int, prediction: int) -> None:
    label = kinds.error_kinds(SIC)[kinds.build_error_table(SIC)[truth, prediction]].label
    difference = 10 * (prediction - truth)
    numbers = [int(word.replace("−", "-")) for word in label.split() if word[0] in "+−"]
    if not difference:
        assert label == "right"
    elif "above" in label:
        assert difference >= numbers[0]
    elif "below" in label:
        assert difference <= numbers[0]
    else:
        assert difference in numbers


@pytest.mark.parametrize("chart", [SOD, FLOE])
def test_errors_of_other_charts_are_right_or_wrong(chart: Any) -> None:
    truth = u8([0, 3, 3, 0, 3, 255])
    prediction = u8([0, 3, 2, 1, 0, 0])
    assert kinds.find_errors(truth, prediction, chart).tolist() == [[0, 0, 1, 2, 3, 255]]
    # The mask class is wrong wherever it is predicted.
    mask = u8([chart.mask_class])
    assert kinds.find_errors(u8([0]), mask, chart) == len(kinds.error_kinds(chart)) - 1


def test_colours_are_those_of_the_chart() -> None:
    land = np.array([[True, True, False, False]])
    values = kinds.mark_land(u8([255, 2, 255, 5]), land)
    assert values.tolist() == [[kinds.LAND, 2, 255, 5]]
    pixels = kinds.colour_pixels(values, kinds.chart_kinds(SOD))[0].tolist()
    assert pixels[0] == [0x8F, 0x86, 0x72, 255]
    assert pixels[1] == [0xAA, 0x28, 0xF0, 255]
    assert pixels[2][3] == 0  # no label: what lies below shows
    assert pixels[3] == [0x8C, 0x3C, 0x00, 255]


def test_shares() -> None:
    assert kinds.shares([1, 3, 0]) == [25.0, 75.0, 0.0]
    assert kinds.shares([0, 0]) == [0.0, 0.0]


# --- rasters


def test_windows_are_checked() -> None:
    assert rasters.fit_window(None, (30, 40)) == Window(0, 0, 30, 40)
    assert rasters.fit_window(Window(29, 39, 1, 1), (30, 40)) == Window(29, 39, 1, 1)
    for window in (Window(0, 0, 31, 1), Window(-1, 0, 5, 5), Window(0, 36, 5, 5)):
        with pytest.raises(PictureError, match="does not lie in the scene's 30 x 40"):
            rasters.fit_window(window, (30, 40))
    with pytest.raises(PictureError, match="must hold some"):
        rasters.fit_window(Window(0, 0, 0, 3), (30, 40))


@pytest.mark.parametrize(("size", "step"), [(1, 1), (1000, 1), (1001, 2), (5229, 6)])
def test_step(size: int, step: int) -> None:
    assert rasters.choose_step(Window(0, 0, 1, size)) == step


def test_pick_takes_the_middle_of_each_block() -> None:
    values = np.arange(5 * 7).reshape(5, 7)
    # Blocks of 3: middles 1, 4 of 5 lines; 1, 4 and, of the last, cut short, 6 of 7 samples.
    assert rasters.pick(values, 3).tolist() == [[8, 11, 13], [29, 32, 34]]
    assert rasters.pick(values, 1).tolist() == values.tolist()


def test_block_mean_counts_valid_pixels_only() -> None:
    values = np.array([[1, 3, 0, 0], [5, 0, 0, 0], [2, 4, 6, 8]], np.float16)
    valid = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]], bool)
    means = rasters.block_mean(values, valid, 2)
    np.testing.assert_array_equal(means, [[3, np.nan], [3, 7]])
    single = rasters.block_mean(values, valid, 1)
    assert np.isnan(single[~valid]).all()
    np.testing.assert_array_equal(single[valid], values[valid])


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_pixel_is_valid_where_any_channel_is_not_zero(dtype: Any) -> None:
    tiny = np.finfo(dtype).smallest_subnormal
    sar = np.array([[[0, 0, -0.0, 0]], [[0, 1, -0.0, 0]], [[0, 0, 0, tiny]]], dtype)
    assert rasters.find_valid(sar).tolist() == [[False, True, False, True]]


def test_stretch_limits() -> None:
    values = np.append(np.arange(101.0), [np.nan, np.nan])
    assert rasters.stretch_limits(values) == pytest.approx((1, 99))
    assert rasters.stretch_limits(np.full(5, 7.0)) == (6.5, 7.5)
    assert rasters.stretch_limits(np.array([np.nan])) == (0, 1)


def test_extents() -> None:
    # Blocks of 2 over 5 lines and 3 samples from (10, 20): the last ones reach beyond the window.
    assert rasters.block_extent(Window(10, 20, 5, 3), 2, (3, 2)) == (19.5, 23.5, 15.5, 9.5)
    assert rasters.cell_extent(Window(1, 2, 3, 1)) == (49.5, 74.5, 99.5, 24.5)


def test_cells_under_a_window() -> None:
    assert rasters.cover_cells(Window(24, 25, 2, 25), (14, 8, 8)) == Window(0, 1, 2, 1)
    # Beyond the last cell there is none: the last one is shown, outside the window.
    assert rasters.cover_cells(Window(201, 0, 9, 200), (14, 8, 8)) == Window(7, 0, 1, 8)


@given(start=st.integers(0, 219), extent=st.integers(1, 220))
def test_the_cells_cover_every_pixel_that_has_one(start: int, extent: int) -> None:
    n_pixels, n_cells = 220, 8
    window = Window(start, 0, min(extent, n_pixels - start), 1)
    cells = rasters.cover_cells(window, (n_cells, n_cells))
    for pixel in range(window.line, window.line + window.lines):
        if pixel // 25 < n_cells:
            assert cells.line <= pixel // 25 < cells.line + cells.lines


@pytest.mark.parametrize(
    ("flip", "flipped"),
    [
        (0, (True, False)),
        (1, (False, True)),
        (-1, (False, True)),
        ([0, 1], (True, True)),
        (None, (False, False)),
        ("0", (False, False)),
        (7, (False, False)),
        (True, (False, False)),
    ],
)
def test_flip_is_an_axis(flip: object, flipped: tuple[bool, bool]) -> None:
    assert rasters.flipped_axes(flip) == flipped


def test_north_is_where_latitude_grows() -> None:
    line, sample = np.array([0.0, 100, 200]), np.array([0.0, 50, 100])
    # 3 degrees per 100 lines down, 2 per 50 samples to the left: (0.03, -0.04) per pixel.
    latitude = 70 + 0.03 * line[:, np.newaxis] - 0.04 * sample
    window = Window(0, 0, 200, 100)
    assert rasters.compute_north(latitude, line, sample, window) == pytest.approx((0.6, -0.8))
    assert rasters.compute_north(np.full((3, 3), 70.0), line, sample, window) is None


# --- channels, words, layout


def test_channels_by_name() -> None:
    assert [channel.name for channel in parse_channels("HH, hv,t2m")] == [
        "nersc_sar_primary",
        "nersc_sar_secondary",
        "t2m",
    ]
    assert len(CHANNELS) == 25
    assert CHANNELS["btemp_36_5v"].title == "36.5 GHz V"
    with pytest.raises(PictureError, match=r"did you mean btemp_18_7h\? there are nersc_sar_"):
        parse_channels("HH,btemp_18h")
    with pytest.raises(PictureError, match="no channel is named; there are"):
        parse_channels(" , ")


def test_numbers_in_words() -> None:
    assert wordings.format_percent(0.7126) == "71.3 %"
    assert wordings.format_percent(-0.5) == "−50.0 %"
    assert wordings.format_percent(-0.0001) == "0.0 %"
    assert wordings.format_percent(math.nan) == "undefined"
    assert wordings.format_position(71.24, -54.26) == "71.2° N 54.3° W"
    assert wordings.format_position(-1.0, 190.0) == "1.0° S 170.0° W"


@pytest.mark.parametrize(
    ("samples", "scale"),
    [(5229, (100, "100 km")), (327, (5, "5 km")), (30, (0.5, "500 m")), (1, (0.02, "20 m"))],
)
def test_scale_is_about_a_quarter(samples: int, scale: tuple[float, str]) -> None:
    length, label = wordings.choose_scale(samples)
    assert length == pytest.approx(scale[0])
    assert label == scale[1]


def test_facts_are_broken_between_two() -> None:
    assert wordings.wrap_facts(["first fact", "second fact", "third"], 3.0, 10.0) == [
        "first fact  ·  second fact",
        "third",
    ]


@given(
    lines=st.integers(1, 6000),
    samples=st.integers(1, 6000),
    n_channels=st.integers(1, 25),
    charts=st.booleans(),
    predictions=st.booleans(),
)
def test_panels_lie_in_the_picture_and_apart(
    lines: int, samples: int, n_channels: int, charts: bool, predictions: bool
) -> None:
    made = layout.arrange(lines, samples, n_channels, charts=charts, predictions=predictions)
    assert len(made.channels) == n_channels
    assert len(made.errors) == (3 if charts and predictions else 0)
    columns = (made.charts, made.predictions, made.keys, made.errors, made.error_keys)
    boxes = [*made.channels, *(box for column in columns for box in column)]
    for box in boxes:
        assert box.left >= 0.3
        assert box.top >= 0.8
        assert box.left + box.width <= made.width
        assert box.top + box.height <= made.height - 0.5
    for at, one in enumerate(boxes):
        for other in boxes[at + 1 :]:
            beside = one.left + one.width <= other.left or other.left + other.width <= one.left
            above = one.top + one.height <= other.top or other.top + other.height <= one.top
            assert beside or above


# --- views


def test_a_view_holds_the_units_of_the_store(prepared_store: Path) -> None:
    store = open_store(prepared_store)
    scene_id = store.scene_ids()[0]
    channels = parse_channels("HH,sar_incidenceangle,distance_map,btemp_18_7h,wind_speed")
    window = Window(60, 80, 100, 120)
    view = view_scene(open_scene_reader(store, scene_id), channels, window)
    with open_scene(store, scene_id) as scene:
        part = scene.isel(sar_lines=slice(60, 160), sar_samples=slice(80, 200))
        raw = {
            name: part[name].values.astype(np.float64) * variable["standardisation_std"]
            + variable["standardisation_mean"]
            for name, variable in ((name, scene[name].attrs) for name in scene)
            if "standardisation_std" in variable
        }
        valid = (part["nersc_sar_primary"] != 0).values | (part["sar_incidenceangle"] != 0).values
        hh, angle, distance, tb, wind = (layer.values for layer in view.layers)
        np.testing.assert_array_equal(view.valid, valid)
        np.testing.assert_allclose(hh[valid], raw["nersc_sar_primary"][valid], rtol=1e-3)
        assert np.isnan(hh[~valid]).all()
        np.testing.assert_allclose(angle[valid], raw["sar_incidenceangle"][valid], rtol=1e-3)
        np.testing.assert_array_equal(distance, part["distance_map"].values)
        np.testing.assert_array_equal(view.land, part["distance_map"].values == 0)
        # Pixels 60..159 touch cells 2..6, pixels 80..199 cells 3..7.
        assert view.layers[3].extent == (74.5, 199.5, 174.5, 49.5)
        np.testing.assert_allclose(tb, raw["btemp_18_7h"][2:7, 3:8], rtol=1e-5)
        speed = np.hypot(raw["u10m_rotated"], raw["v10m_rotated"])[2:7, 3:8]
        np.testing.assert_allclose(wind, speed, rtol=1e-4)
        for chart in CHARTS:
            np.testing.assert_array_equal(view.charts[chart.name], part[chart.name].values)


@pytest.mark.parametrize("region", ["$\\frac{1$", "$x^", "a\nb\x1b[2J"])
def test_names_of_others_are_no_formulas(prepared_store: Path, tmp_path: Path, region: str) -> None:
    scene = open_scene_reader(prepared_store, open_store(prepared_store).scene_ids()[0])
    view = view_scene(scene, parse_channels("HH"), Window(0, 0, 64, 64))
    view = dataclasses.replace(view, attributes={**view.attributes, "region": region})
    figure = draw_scene(view)
    save_figure(figure, tmp_path / "scene.png")  # would raise for what is no formula
    shown = next(text for text in figure.texts if "chart of" in text.get_text())
    assert not shown.get_parse_math()
    assert is_printable(shown.get_text())


# --- the command


@pytest.fixture
def scene_id(prepared_store: Path) -> str:
    """The scene with the most classes of ice."""

    def count(scene_id: str) -> int:
        counts = open_scene_reader(prepared_store, scene_id).attributes["class_counts"]["SIC"]
        return sum(n > 0 for n in counts.values())

    return max(open_store(prepared_store).scene_ids(), key=count)


@pytest.fixture
def predictions(prepared_store: Path, scene_id: str, tmp_path: Path) -> Path:
    """The charts with their upper left quarter predicted as fully packed, old, vast."""
    classes = {}
    with open_scene(prepared_store, scene_id) as scene:
        for chart, value in zip(CHARTS, (10, 5, 5), strict=True):
            values = scene[chart.name].values.copy()
            values[values == 255] = 0
            values[:150, :160] = value
            classes[chart.name] = values
    folder = tmp_path / "preds"
    folder.mkdir()
    write_prediction(folder, scene_id, classes)
    return folder


FAST = ("--channels", "HH", "--window", "0,0,64,64")


def run(*args: object) -> Result:
    return CliRunner().invoke(main, ["show", *(str(arg) for arg in args)])


def ok(*args: object) -> str:
    result = run(*args)
    assert result.exit_code == 0, result.output
    return result.stdout


@functools.lru_cache(maxsize=1)
def decode(path: Path) -> U8:
    """The pixels of a picture; every test writes its own."""
    return np.asarray(np.round(imread(path)[..., :3] * 255).astype(np.uint8))


def panel(path: Path, box: layout.Box) -> U8:
    """The pixels of a panel: (lines, samples, 3) uint8."""
    pixels = decode(path)
    top, left = round(box.top * DOTS_PER_INCH), round(box.left * DOTS_PER_INCH)
    height, width = round(box.height * DOTS_PER_INCH), round(box.width * DOTS_PER_INCH)
    return np.asarray(pixels[top : top + height, left : left + width])


def look(shown: U8, flipped: tuple[bool, bool], size: tuple[int, int], at: tuple[int, int]) -> Any:
    """The colour at a pixel of the scene."""
    where = []
    for index, n, is_flipped, n_shown in zip(at, size, flipped, shown.shape, strict=False):
        fraction = (index + 0.5) / n
        where.append(int((1 - fraction if is_flipped else fraction) * n_shown))
    return tuple(shown[where[0], where[1]].tolist())


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def inner_pixels(values: U8, margin: int = 4) -> list[tuple[int, int]]:
    """Pixels whose surroundings are like them, a few of each value."""
    found = []
    for value in np.unique(values):
        for line, sample in np.argwhere(values == value)[::397]:
            around = values[
                max(line - margin, 0) : line + margin + 1,
                max(sample - margin, 0) : sample + margin + 1,
            ]
            if (around == value).all() and 20 < line < 280 and 20 < sample < 300:
                found.append((int(line), int(sample)))
    return found


@pytest.mark.parametrize("flip", [0, 1])
def test_the_picture_shows_the_right_colours_at_the_right_places(
    prepared_store: Path, tmp_path: Path, flip: int
) -> None:
    scene_id = next(
        scene_id
        for scene_id in open_store(prepared_store).scene_ids()
        if open_scene(prepared_store, scene_id).attrs["source_attributes"]["flip"] == flip
    )
    out = tmp_path / "new" / "scene.png"
    assert ok(prepared_store, scene_id, "--out", out) == f"{out} written\n"
    view = view_scene(open_scene_reader(prepared_store, scene_id), parse_channels("HH"))
    made = layout.arrange(300, 327, 6, charts=True, predictions=False)
    height, width = decode(out).shape[:2]
    assert (width, height) == (
        pytest.approx(made.width * DOTS_PER_INCH, abs=1),
        pytest.approx(made.height * DOTS_PER_INCH, abs=1),
    )
    looked = set()
    for chart, box in zip(CHARTS, made.charts, strict=True):
        values = kinds.mark_land(view.charts[chart.name], view.land)
        shown = panel(out, box)
        for at in inner_pixels(values):
            colour = look(shown, view.flipped, view.shape, at)
            if values[at] == 255:
                assert min(colour) > 0xC0  # white, or a line of the hatching
            elif values[at] == kinds.LAND:
                assert colour == rgb(kinds.LAND_COLOUR)
            else:
                assert colour == rgb(chart.colours[values[at]])
            looked.add((chart.name, int(values[at])))
    assert len(looked) > 6


def test_a_prediction_and_its_errors(
    prepared_store: Path, scene_id: str, predictions: Path, tmp_path: Path
) -> None:
    out = tmp_path / "scene.png"
    ok(prepared_store, scene_id, "--prediction", predictions, "--out", out)
    reader = open_scene_reader(prepared_store, scene_id)
    view = view_scene(reader, parse_channels("HH"))
    comparison = compare_scene(reader, view, predictions)
    made = layout.arrange(300, 327, 6, charts=True, predictions=True, heading_lines=2)
    for row, chart in enumerate(CHARTS):
        truth = view.charts[chart.name]
        predicted = comparison.classes[chart.name]
        errors = kinds.find_errors(truth, predicted, chart)
        error_panel, prediction_panel = (
            panel(out, made.errors[row]),
            panel(out, made.predictions[row]),
        )
        looked = set()
        for at in inner_pixels(errors):
            if errors[at] != 255:
                colour = look(error_panel, view.flipped, view.shape, at)
                assert colour == rgb(kinds.error_kinds(chart)[errors[at]].colour)
                looked.add(int(errors[at]))
        assert len(looked) > 1
        for at in inner_pixels(np.where(truth == 255, np.uint8(255), predicted)):
            if truth[at] != 255:
                colour = look(prediction_panel, view.flipped, view.shape, at)
                assert colour == rgb(chart.colours[predicted[at]])


def test_scores_are_the_scorers(prepared_store: Path, scene_id: str, predictions: Path) -> None:
    reader = open_scene_reader(prepared_store, scene_id)
    # A window changes what is shown, not the scores.
    view = view_scene(reader, parse_channels("HH"), Window(0, 0, 50, 60))
    comparison = compare_scene(reader, view, predictions)
    split = json.loads((prepared_store / "splits" / "official.json").read_text())
    subset = next(name for name in ("train", "val", "test") if scene_id in split[name])
    arguments = ["score", str(predictions), "--store", str(prepared_store), "--subset", subset]
    result = CliRunner().invoke(main, [*arguments, "--allow-partial", "--no-write", "--json"])
    assert result.exit_code == 0, result.output
    (record,) = json.loads(result.stdout)
    expected = {score["chart"]: score["value"] for score in record["scores"]}
    assert comparison.combined is not None
    found = {**comparison.scores, "combined": comparison.combined}
    assert {name: 100 * value for name, value in found.items()} == pytest.approx(expected)


def test_store_and_scene_as_arguments(
    prepared_store: Path, scene_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTOICE_STORE", str(prepared_store))
    assert ok(scene_id, *FAST) == f"{scene_id}.png written\n"
    result = run(scene_id, *FAST)
    assert result.exit_code == 1
    assert f"{scene_id}.png exists; --overwrite replaces it" in result.stderr
    ok(f"{scene_id}_prep.nc", *FAST, "--overwrite")
    assert run().exit_code == 2
    assert "a folder, no scene" in run(prepared_store).stderr
    assert "expected SCENE or STORE SCENE" in run("a", "b", scene_id).stderr


def test_a_picture_as_pdf(prepared_store: Path, scene_id: str, tmp_path: Path) -> None:
    out = tmp_path / "scene.pdf"
    ok(prepared_store, scene_id, "--out", out, "--channels", "t2m", "--window", "10,20,200,40")
    assert out.read_bytes().startswith(b"%PDF")


def test_wrong_usage_is_said(prepared_store: Path, scene_id: str, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "x.png")
    for status, message, *arguments in (
        (1, "is not a scene name; expected", "nope"),
        (1, "no scene 20200101T000000_cis among its 6 scenes", "20200101T000000_cis"),
        (1, "no channel 'HX'; ", scene_id, "--channels", "HX"),
        (1, "does not lie in the scene's 300 x 327", scene_id, "--window", "0,0,301,1"),
        (2, "is not LINE,SAMPLE,LINES,SAMPLES", scene_id, "--window", "1,2"),
        (1, "no such file or folder", scene_id, "--prediction", tmp_path / "none"),
        (2, "must end in .png or .pdf", scene_id, "--out", tmp_path / "x.jpg"),
    ):
        result = run(prepared_store, arguments[0], *out, *arguments[1:])
        assert result.exit_code == status, result.output
        assert message in result.stderr
    assert not (tmp_path / "x.png").exists()


def test_predictions_that_do_not_fit(
    prepared_store: Path, scene_id: str, predictions: Path, tmp_path: Path
) -> None:
    other = next(name for name in open_store(prepared_store).scene_ids() if name != scene_id)
    result = run(prepared_store, other, "--prediction", predictions, "--out", tmp_path / "x.png")
    assert result.exit_code == 1
    assert f"scene {other} is not among its 1 scenes" in result.stderr
    small = {chart.name: np.zeros((3, 4), np.uint8) for chart in CHARTS}
    write_prediction(predictions, other, small)
    result = run(prepared_store, other, "--prediction", predictions, "--out", tmp_path / "x.png")
    assert "SIC has shape (3, 4); the scene has (300, 327)" in result.stderr
    # One file alone, and one chart of three.
    file = write_prediction(tmp_path, scene_id, {"SOD": np.zeros((300, 327), np.uint8)})
    ok(prepared_store, scene_id, "--prediction", file, "--out", tmp_path / "x.png", *FAST)


def test_a_damaged_scene_is_named(prepared_store: Path, scene_id: str, tmp_path: Path) -> None:
    store = tmp_path / "autoice.zarr"
    shutil.copytree(prepared_store, store)
    shard = next(
        path for path in (store / "scenes" / scene_id / "sar" / "c").rglob("*") if path.is_file()
    )
    content = bytearray(shard.read_bytes())
    content[1000] ^= 1
    shard.write_bytes(content)
    result = run(store, scene_id, "--out", tmp_path / "x.png")
    assert result.exit_code == 1
    assert f"scene {scene_id}: array sar" in result.stderr


def test_a_scene_without_charts(prepared_store: Path, scene_id: str, tmp_path: Path) -> None:
    """As the released test scenes are before their reference is added."""
    store = tmp_path / "autoice.zarr"
    shutil.copytree(prepared_store, store)
    scene = store / "scenes" / scene_id
    shutil.rmtree(scene / "charts")
    document = json.loads((scene / "zarr.json").read_text())
    del document["consolidated_metadata"]["metadata"]["charts"]
    document["attributes"]["class_counts"] = None
    del document["attributes"]["document_sha256"]
    (scene / "zarr.json").write_text(json.dumps(document))
    ok(store, scene_id, "--out", tmp_path / "x.png", *FAST)
    zeros = {chart.name: np.zeros((300, 327), np.uint8) for chart in CHARTS}
    file = write_prediction(tmp_path, scene_id, zeros)
    ok(store, scene_id, "--prediction", file, "--out", tmp_path / "y.png", *FAST)


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.no_such_backend", "no-such"])
def test_backend_of_a_notebook_is_not_needed(
    backend: str, prepared_store: Path, tmp_path: Path
) -> None:
    scene_id = open_store(prepared_store).scene_ids()[0]
    done = subprocess.run(
        [*CLI, "show", str(prepared_store), scene_id, "--out", str(tmp_path / "a.png")],
        env={**os.environ, "MPLBACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.png").stat().st_size > 0
