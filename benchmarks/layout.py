"""Which inner chunk, codec and shuffle: bytes on disk against patches decoded a second.

Run ``python -m benchmarks.layout``; writes benchmarks/results/layout.md. One full-size simulated
scene, three float16 SAR channels and three uint8 charts; patches at random places are decoded from
compressed chunks in memory on one core, so that the layouts are compared and not the disk.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray

from autoice_bench.datasets.sources.rtt import read_scene
from autoice_bench.formats.rtt_folder import find_scenes
from autoice_bench.formats.shard_writer import SHUFFLES, Codec, Shuffle
from autoice_bench.formats.store_layout import INNER_CHUNK
from benchmarks.measure import format_table, write_result

PATCH_SIZES = (256, 768)
EDGES = (64, 128, 192, 256, 512)
CODECS: tuple[tuple[str, int, Shuffle], ...] = (
    ("lz4", 5, "noshuffle"),
    ("lz4", 5, "shuffle"),
    ("lz4", 5, "bitshuffle"),
    ("zstd", 1, "noshuffle"),
    ("zstd", 1, "bitshuffle"),
)


@dataclass(frozen=True)
class Encoded:
    """One array in compressed chunks: (channel groups, chunk rows, chunk columns)."""

    chunks: list[list[list[bytes]]]
    edge: int
    channels_per_chunk: int
    dtype: np.dtype[Any]
    seconds: float

    @property
    def n_bytes(self) -> int:
        return sum(len(chunk) for group in self.chunks for row in group for chunk in row)


def encode(values: NDArray[Any], edge: int, codec: Codec, together: bool) -> Encoded:
    """Compress (channels, lines, samples) in square chunks, channels together or apart."""
    per_chunk = values.shape[0] if together else 1
    started = time.perf_counter()
    groups = []
    for first in range(0, values.shape[0], per_chunk):
        group = values[first : first + per_chunk]
        starts = [range(0, size, edge) for size in values.shape[1:]]
        groups.append(
            [[_compress(group, at, to, edge, codec) for to in starts[1]] for at in starts[0]]
        )
    seconds = time.perf_counter() - started
    return Encoded(groups, edge, per_chunk, values.dtype, seconds)


def _compress(group: NDArray[Any], line: int, sample: int, edge: int, codec: Codec) -> bytes:
    chunk = np.zeros((group.shape[0], edge, edge), group.dtype)
    window = group[:, line : line + edge, sample : sample + edge]
    chunk[:, : window.shape[1], : window.shape[2]] = window
    shuffle = SHUFFLES[codec.shuffle]
    compressed: bytes = blosc.compress(chunk, codec.cname.encode(), codec.clevel, shuffle, 0)
    return compressed


def decode_window(array: Encoded, line: int, sample: int, out: NDArray[Any]) -> None:
    """Decode the chunks that cover a window and copy them into ``out`` (channels, size, size)."""
    edge, size = array.edge, out.shape[-1]
    scratch = np.empty((array.channels_per_chunk, edge, edge), array.dtype)
    rows = range(line // edge, (line + size - 1) // edge + 1)
    columns = range(sample // edge, (sample + size - 1) // edge + 1)
    for group, row, column in itertools.product(range(len(array.chunks)), rows, columns):
        blosc.decompress(array.chunks[group][row][column], scratch)
        top, left = row * edge - line, column * edge - sample
        channels = slice(group * array.channels_per_chunk, (group + 1) * array.channels_per_chunk)
        out[
            channels, max(top, 0) : min(top + edge, size), max(left, 0) : min(left + edge, size)
        ] = scratch[:, max(-top, 0) : size - top, max(-left, 0) : size - left]


def patches_per_second(arrays: tuple[Encoded, ...], shape: tuple[int, int], size: int) -> float:
    """Decode random patches of every array for about a second."""
    rng = np.random.default_rng(0)
    outs = [np.empty((3, size, size), array.dtype) for array in arrays]
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < 1.0:
        line, sample = (int(rng.integers(0, n - size + 1)) for n in shape)
        for array, out in zip(arrays, outs, strict=True):
            decode_window(array, line, sample, out)
        done += 1
    return done / (time.perf_counter() - started)


def measure(
    sar: NDArray[Any],
    charts: NDArray[Any],
    edge: int,
    codec: Codec,
    chart_codec: Codec,
    together: bool,
) -> list[str]:
    """One row of the table."""
    arrays = (encode(sar, edge, codec, together), encode(charts, edge, chart_codec, together))
    shape = (sar.shape[1], sar.shape[2])
    rates = [patches_per_second(arrays, shape, size) for size in PATCH_SIZES]
    chosen = (edge, codec, chart_codec, together) == (INNER_CHUNK, Codec(), Codec(), True)
    label = f"{edge}, {'together' if together else 'apart'}"
    return [
        f"**{label}**" if chosen else label,
        f"{codec.cname} {codec.shuffle}",
        f"{chart_codec.cname} {chart_codec.shuffle}",
        *(f"{array.n_bytes / 1e6:.1f}" for array in arrays),
        f"{sum(array.seconds for array in arrays):.2f}",
        *(f"{rate:.0f}" for rate in rates),
    ]


def run(sar: NDArray[Any], charts: NDArray[Any]) -> list[list[str]]:
    """Vary one thing at a time around the chosen layout."""
    blosc.use_threads = False
    plain = Codec()
    rows = [measure(sar, charts, edge, plain, plain, True) for edge in EDGES]
    rows += [measure(sar, charts, INNER_CHUNK, Codec(*codec), plain, True) for codec in CODECS[1:]]
    rows += [measure(sar, charts, INNER_CHUNK, plain, Codec(*codec), True) for codec in CODECS[2:]]
    rows.append(measure(sar, charts, INNER_CHUNK, plain, plain, False))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="5000,5229")
    parser.add_argument("--source", type=Path, help="a folder of scenes, instead of a new one")
    arguments = parser.parse_args()
    lines, samples = (int(part) for part in arguments.size.split(","))
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(prefix="autoice-layout-") as folder:
        source = arguments.source or Path(folder, "rtt")
        if arguments.source is None:
            from autoice_bench.datasets.simulate.run import simulate

            simulate(source, n_train=1, n_test=0, size=(lines, samples))
        scene = read_scene(find_scenes(source).scenes[0])
    assert scene.charts is not None
    columns = (
        "inner chunk, channels",
        "SAR codec",
        "chart codec",
        "SAR MB",
        "charts MB",
        "encode s",
    )
    path = write_result(
        "layout",
        "# Inner chunk, codec and shuffle",
        f"One simulated scene of {'x'.join(map(str, scene.sar.shape[1:]))} pixels; three float16 "
        "SAR channels and three charts decoded together from memory, one core. One thing varies "
        "at a time around the layout in bold, which the store uses.",
        format_table(
            (*columns, *(f"patches/s at {size}" for size in PATCH_SIZES)),
            run(scene.sar, scene.charts),
        ),
    )
    print(path.read_text())


if __name__ == "__main__":
    main()
