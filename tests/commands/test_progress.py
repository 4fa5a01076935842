"""Progress: a bar on a terminal, plain lines elsewhere, nothing at all for what is quick."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pytest

from autoice_bench.commands import progress
from autoice_bench.commands.progress import Progress


@dataclass
class Clock:
    """Seconds that pass only when a test says so."""

    seconds: float = 100.0

    def monotonic(self) -> float:
        return self.seconds


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress.time, "monotonic", clock.monotonic)  # type: ignore[attr-defined]
    return clock


def test_quick_work_prints_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("preparing") as bar:
        bar.start(3, 300)
        for _ in range(3):
            clock.seconds += 2
            bar.advance(100)
    assert capsys.readouterr() == ("", "")


def test_lines_say_scenes_rate_and_time_left(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress("preparing") as bar:
        bar.start(4, 400_000_000)
        clock.seconds += 10
        bar.advance(100_000_000)
        clock.seconds += 5
        bar.advance(100_000_000)  # five seconds after the last line: none
        clock.seconds += 5
        bar.advance(100_000_000)
    # 100 MB in 10 s are 10 MB/s, the other 300 take 30 s; then 300 MB in 20 s leave 100, 6.7 s.
    assert capsys.readouterr().err.splitlines() == [
        "preparing: 1 of 4 scenes, 10 MB/s, 30 s left",
        "preparing: 3 of 4 scenes, 15 MB/s, 7 s left",
    ]


def test_without_bytes_time_left_follows_the_scenes(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress("verifying") as bar:
        bar.start(4)
        clock.seconds += 30
        bar.advance()
        clock.seconds += 90
        for _ in range(3):
            bar.advance()
    # 1 of 4 in 30 s leaves 90 s; two scenes at 120 s leave as long again; another line would come
    # too soon.
    assert capsys.readouterr().err.splitlines() == [
        "verifying: 1 of 4 scenes, 90 s left",
        "verifying: 2 of 4 scenes, 120 s left",
    ]


def test_last_scene_has_no_time_left(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("verifying") as bar:
        bar.start(1)
        clock.seconds += 11
        bar.advance()
    assert capsys.readouterr().err == "verifying: 1 of 1 scenes\n"


def test_nothing_to_do(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("preparing") as bar:
        bar.start(0)
    assert capsys.readouterr() == ("", "")
    assert clock.seconds == 100


def test_rate_before_any_time_has_passed(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("preparing") as bar:
        bar.start(2, 200)
        bar.advance(100)
        clock.seconds += 20
        bar.advance(100)
    assert capsys.readouterr().err == "preparing: 2 of 2 scenes, 0 MB/s\n"


def test_terminal_shows_a_bar_and_takes_it_away(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with Progress("preparing") as bar:
        bar.start(2, 2_000_000)
        bar.advance(1_000_000)
    shown = terminal.getvalue()
    assert "preparing" in shown
    assert "1 of 2 scenes" in shown
    assert shown.endswith("\x1b[2K")  # the line is cleared, the cursor shown again before it
    assert "\x1b[?25h" in shown


def test_what_was_done_before_does_not_count_as_fast(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress("training", "steps") as bar:
        bar.reach(51, 100)
        bar.say("epoch 1 is over")
        clock.seconds += 10
        bar.reach(60, 100)
    # Ten steps, the 51st included, in 10 s: the other 40 take 40 s.
    assert capsys.readouterr().err.splitlines() == [
        "epoch 1 is over",
        "training: 60 of 100 steps, 40 s left",
    ]


def test_lines_appear_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with Progress("training", "steps") as bar:
        bar.reach(1, 2)
        bar.say("[1/2] a line [bold]as it is[/bold]")
    assert "[1/2] a line [bold]as it is[/bold]" in terminal.getvalue()
