"""README and the docs work as they are pasted, block by block, in the order of the page."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoice_bench.baselines.floors.predict import predict_floor
from autoice_bench.baselines.networks import foreign
from autoice_bench.datasets.prepare.prepare import prepare
from autoice_bench.datasets.simulate.run import simulate
from tests.docs.pages import ROOT, Block, Reader, read_blocks

PAGES = [ROOT / "README.md", ROOT / "leaderboard" / "README.md", *sorted(ROOT.glob("docs/*.md"))]
LANGUAGES = {"sh", "python", "toml", "json", "text"}
RUN = [page for page in PAGES if {block.language for block in read_blocks(page)} - {"text"}]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the first commands of README make it, but small."""
    folder = tmp_path_factory.mktemp("docs")
    simulate(folder / "rtt", n_train=4, n_test=1, size=(500, 523), seed=0, cases="none")
    prepare(folder / "rtt", folder / "autoice.zarr", workers=1)
    predict_floor("majority", folder / "autoice.zarr", folder / "preds" / "majority")
    return folder


@pytest.fixture
def folder(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The reader's folder: empty for README, else a copy of what README's first commands make."""
    if request.getfixturevalue("page") != ROOT / "README.md":
        shutil.copytree(request.getfixturevalue("made"), tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(foreign, "_allowed", set())
    yield tmp_path
    sys.modules.pop("my_networks", None)


@pytest.mark.parametrize("page", RUN, ids=[str(page.relative_to(ROOT)) for page in RUN])
def test_a_page_runs_as_it_is_pasted(folder: Path, page: Path) -> None:
    reader = Reader(folder)
    for block in read_blocks(page):
        reader.follow(block)


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_block_names_its_language(page: Path) -> None:
    """A block without one would not be run."""
    blocks = read_blocks(page)
    assert len(blocks) * 2 == page.read_text(encoding="utf-8").count("```")
    assert [block.where for block in blocks if block.language not in LANGUAGES] == []


def test_directives_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.docs.pages.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "text\n<!-- run with: big -> small -->\n<!-- run with, no GPU: x -> y -->\n"
        "<!-- run before: touch a -->\n```sh\nrun big x\n```\n\n"
        "<!-- not run: why -->\n```python\n1 / 0\n```\n```toml\n# a.toml\nb = 1\n```\n"
    )
    assert read_blocks(page) == [
        Block("page.md, line 5", "sh", "run small y\n", True, ("touch a",)),
        Block("page.md, line 10", "python", "1 / 0\n", False, ()),
        Block("page.md, line 13", "toml", "# a.toml\nb = 1\n", True, ()),
    ]
