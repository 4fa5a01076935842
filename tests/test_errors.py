from __future__ import annotations

import inspect

import click
import pytest
from click.testing import CliRunner

from autoice_bench import errors
from autoice_bench.commands.base import AutoIceCommand
from autoice_bench.errors import AutoIceError, StoreError

NAMED = [
    member
    for _, member in inspect.getmembers(errors, inspect.isclass)
    if member.__module__ == errors.__name__
]


@click.command(cls=AutoIceCommand)
@click.argument("what")
def failing(what: str) -> None:
    """Fail as asked."""
    raise StoreError("store x: busy") if what == "expected" else ValueError("a bug")


def test_every_error_is_an_autoice_error() -> None:
    assert len(NAMED) == 12
    assert all(issubclass(error, AutoIceError) and error.__doc__ for error in NAMED)


def test_expected_error_is_one_line_and_status_1() -> None:
    result = CliRunner().invoke(failing, ["expected"])
    assert result.exit_code == 1
    assert result.stderr == "error: store x: busy\n"
    assert result.stdout == ""


def test_debug_keeps_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(CliRunner().invoke(failing, ["expected", "--debug"]).exception, StoreError)
    monkeypatch.setenv("AUTOICE_DEBUG", "1")
    assert isinstance(CliRunner().invoke(failing, ["expected"]).exception, StoreError)


def test_a_bug_keeps_its_traceback() -> None:
    assert isinstance(CliRunner().invoke(failing, ["bug"]).exception, ValueError)


def test_wrong_usage_is_status_2() -> None:
    assert CliRunner().invoke(failing, []).exit_code == 2
