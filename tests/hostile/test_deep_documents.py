"""JSON and TOML nested so deep that a parser gives up: one line that names the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from autoice_bench.baselines.runs.folder import RunFolder
from autoice_bench.cli import main
from autoice_bench.errors import BaselineError, StoreError
from autoice_bench.formats.zarr_safety import require_safe_array, require_safe_group
from autoice_bench.scoring.truth.store_truth import StoreTruth

DEEP = "[" * 200_000


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 1, result.output
    (line,) = result.output.splitlines()
    return line


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepared_store: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTOICE_STORE", str(prepared_store))
    path = tmp_path / "deep.json"
    path.write_text(DEEP)
    return path


def test_split(deep: Path) -> None:
    (deep.parent / "preds").mkdir()
    (deep.parent / "preds/20300101T000000_cis.nc").write_text("")
    assert "split deep.json: not JSON (nested too deep" in refused(
        "score", "preds", "--split", "deep.json"
    )


@pytest.mark.parametrize("name", ["deep.json", "deep.toml"])
def test_recipe(deep: Path, name: str) -> None:
    Path(name).write_text(DEEP if name.endswith(".json") else f"x = {DEEP}")
    assert f"recipe {name}: cannot be parsed (nested too deep" in refused("baseline", name)


def test_setting(deep: Path) -> None:
    result = CliRunner().invoke(main, ["baseline", "aspp", "--set", f"rates={DEEP[:5000]}"])
    assert result.exit_code == 2
    assert "expected whole numbers such as 6,12,18" in result.output


def test_description(deep: Path) -> None:
    (deep.parent / "preds").mkdir()
    (deep.parent / "preds/20300101T000000_cis.nc").write_text("")
    line = refused("score", "preds", "--description", "deep.json", "--no-write")
    assert "deep.json: cannot be read as JSON: nested too deep" in line


def test_run(deep: Path) -> None:
    run = deep.parent / "runs/x"
    run.mkdir(parents=True)
    deep.rename(run / "run.json")
    with pytest.raises(BaselineError, match=r"run.json cannot be read .nested too deep"):
        RunFolder(run).read()


def test_store(deep: Path) -> None:
    store = deep.parent / "store"
    store.mkdir()
    deep.rename(store / "zarr.json")
    assert "zarr.json is no store's" in refused("info", store)
    with pytest.raises(StoreError, match=r"zarr.json: damaged: nested too deep"):
        StoreTruth(store).rule  # noqa: B018
    for check in (require_safe_array, require_safe_group):
        with pytest.raises(ValueError, match=r"zarr.json: damaged: nested too deep"):
            check(store)


def test_submission(deep: Path) -> None:
    folder = deep.parent / "board/official/evil"
    folder.mkdir(parents=True)
    deep.rename(folder / "submission.json")
    words = f"{folder}: not a submission of this format: nested too deep"
    result = CliRunner().invoke(
        main, ["leaderboard", "check", "--leaderboard", str(deep.parent / "board")]
    )
    assert result.exit_code == 1
    assert words in result.output
    result = CliRunner().invoke(
        main, ["leaderboard", "show", "--leaderboard", str(deep.parent / "board")]
    )
    assert words in result.output
    assert not isinstance(result.exception, RecursionError)
