"""Snippets of the docs, run as they stand in a folder like README's walk-through makes."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from autoice_bench.baselines.floors.predict import predict_floor
from autoice_bench.baselines.networks import foreign
from autoice_bench.cli import main
from autoice_bench.datasets.prepare.prepare import prepare
from autoice_bench.datasets.simulate.run import simulate

DOCS = Path(__file__).parents[2] / "docs"


def read_blocks(name: str, language: str) -> list[str]:
    """The fenced blocks of a page in a language, in order."""
    text = (DOCS / name).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of the demonstration's size and the predictions of a floor."""
    folder = tmp_path_factory.mktemp("docs")
    simulate(folder / "rtt", n_train=4, n_test=1, size=(500, 523), seed=0, cases="none")
    prepare(folder / "rtt", folder / "autoice.zarr", workers=1)
    predict_floor("majority", folder / "autoice.zarr", folder / "preds" / "majority")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder: links to what is made, and room for more."""
    (tmp_path / "autoice.zarr").symlink_to(made / "autoice.zarr")
    shutil.copytree(made / "preds", tmp_path / "preds")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(foreign, "_allowed", set())
    yield tmp_path
    sys.modules.pop("my_networks", None)


SNIPPETS = [
    pytest.param(snippet, id=f"{page}-{number}")
    for page in ("api.md", "scores.md", "store.md")
    for number, snippet in enumerate(read_blocks(page, "python"))
]


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippets_of_the_interface(folder: Path, snippet: str) -> None:
    exec(compile(snippet, "snippet", "exec"), {})


def test_a_network_of_ones_own_as_the_page_says(folder: Path) -> None:
    (module,) = read_blocks("networks.md", "python")
    (recipe,) = read_blocks("networks.md", "toml")
    (commands,) = read_blocks("networks.md", "sh")
    (folder / "my_networks.py").write_text(module)
    (folder / "mine.toml").write_text(recipe)
    for line in commands.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "autoice-bench"
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
    assert len(list((folder / "preds" / "again").glob("*.nc"))) == 1
