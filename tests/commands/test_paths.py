"""Paths on the command line: what is understood, and what is refused before anything happens."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from autoice_bench.cli import main
from autoice_bench.commands.paths import PathError, PathType, parse_path

NOT_UTF8 = os.fsdecode(b"donn\xe9es")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder, and another one to work in."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a/b.zarr", "a/b.zarr"),
        ("/a b/c", "/a b/c"),
        ("./~a", "~a"),
        ("a~b", "a~b"),
        ("s3:/bucket", "s3:/bucket"),  # a folder may be called s3:
        ("file:///a/b.zarr", "/a/b.zarr"),
        ("FILE:///a", "/a"),
        ("file://localhost/a", "/a"),
        ("file:/a", "/a"),
        ("file:///my%20data/50%25/%C3%A9", "/my data/50%/é"),
        ("file:name", "file:name"),
    ],
)
def test_local_paths(text: str, path: str) -> None:
    assert parse_path(text) == Path(path)


def test_home_folder(home: Path) -> None:
    assert parse_path("~/x.zarr") == home / "x.zarr"
    assert parse_path("~") == home


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a path is empty"),
        ("s3://bucket/x.zarr", "s3:// is not supported"),
        ("https://example.org/x.zarr", "https:// is not supported"),
        ("simplecache::s3://bucket/x", "simplecache::s3:// is not supported"),
        ("file://node3/data", "expected a file of this machine"),
        ("file://data/x", "expected a file of this machine"),
        ("~no-such-user-here/x", "no such home folder"),
        (NOT_UTF8, "not UTF-8"),
        ("file:///donn%E9es", "not UTF-8"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(PathError, match=message):
        parse_path(text)


def test_folder_that_is_not_utf8_is_refused_for_relative_paths(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(NOT_UTF8).mkdir()
    monkeypatch.chdir(NOT_UTF8)
    with pytest.raises(PathError, match=r"the current folder .*donn\\udce9es.*not UTF-8"):
        parse_path("x.zarr")
    assert parse_path("/x.zarr") == Path("/x.zarr")


def path_parameters(command: click.Command, names: tuple[str, ...] = ()) -> list[str]:
    """Parameters of ``click``'s own path type anywhere in the command line."""
    found = [
        " ".join((*names, parameter.name or ""))
        for parameter in command.params
        if isinstance(parameter.type, click.Path | click.File)
        and not isinstance(parameter.type, PathType)
        and type(parameter.type).__name__ != "NameOrPathType"
    ]
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            found += path_parameters(inner, (*names, name))
    return found


def test_every_path_of_every_command_is_of_one_type() -> None:
    assert path_parameters(main) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["prepare", "rtt", "s3://bucket/x.zarr"],
        ["prepare", "rtt", NOT_UTF8],
        ["simulate", "gs://bucket/rtt"],
        ["convert", "preds", "s3://bucket/preds"],
        ["score", "--split", "https://example.org/split.json"],
        ["score", "--scheduler", "file://node3/scheduler.json"],
        ["baseline", "https://example.org/recipe.toml"],
        ["baseline", "--weights", "https://example.org/weights.pth"],
        ["splits", "check", "s3://bucket/split.json"],
        ["demo", "s3://bucket/demo"],
        ["show", "s3://bucket/x.zarr", "20300624T091846_dmi"],
    ],
)
def test_commands_refuse_in_one_line_and_write_nothing(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(("error: address ", "error: path "))
    assert list(Path().iterdir()) == []


def test_store_of_the_environment_may_lie_at_home(
    home: Path, prepared_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir()
    (home / "my store.zarr").symlink_to(prepared_store)
    for text in ("~/my store.zarr", f"file://{home}/my%20store.zarr"):
        monkeypatch.setenv("AUTOICE_STORE", text)
        result = CliRunner().invoke(main, ["info"])
        assert result.exit_code == 0, result.output
    monkeypatch.setenv("AUTOICE_STORE", "s3://bucket/x")
    result = CliRunner().invoke(main, ["show", "20300624T091846_dmi"])
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
