from __future__ import annotations

import json
import math

from autoice_bench.baselines.training.schedules import Plateau
from autoice_bench.baselines.training.state import Best, TrainingState
from autoice_bench.baselines.training.throughput import WaitingTime


def make_state() -> TrainingState:
    return TrainingState(Plateau(0.1))


def test_best_epochs_of_either_measure() -> None:
    state = make_state()
    for loss, combined in ((3.0, 10.0), (1.0, 30.0), (2.0, 40.0), (1.0, 40.0)):
        state.end_epoch(loss, combined, {})
    assert state.best_loss == Best(2, 1.0)
    assert state.best_combined == Best(3, 40.0)
    assert state.epochs_without_progress == 2


def test_undefined_values_are_never_the_best() -> None:
    state = make_state()
    state.end_epoch(math.nan, math.nan, {"epoch": 1, "val_loss": math.nan})
    state.end_epoch(math.inf, math.nan, {"epoch": 2, "val_loss": math.inf})
    assert state.best_loss == state.best_combined == Best()
    assert state.row == {"epoch": 2, "val_loss": None}
    assert state.epochs_without_progress == 2


def test_round_trip_through_json() -> None:
    state = make_state()
    state.plateau.step(0.1 + 0.2)
    state.end_epoch(1 / 3, 50.0, {"epoch": 1, "val_loss": 1 / 3})
    state.step, state.skipped = 7, ["a"]
    assert TrainingState.from_dict(json.loads(json.dumps(state.to_dict()))) == state


def test_waiting_time_is_that_of_the_iterator() -> None:
    waiting = WaitingTime()
    assert list(waiting.measure(range(5))) == [0, 1, 2, 3, 4]
    assert 0 < waiting.seconds < 60
