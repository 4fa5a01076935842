from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from autoice_bench.text.prepare import format_prepare_report
from autoice_bench.wording import is_printable


def test_file_names_of_others_stay_on_their_line() -> None:
    name = "a\nerror: FAKE\x1b[2J\udcff.nc"
    report: Any = SimpleNamespace(
        notes=[f"{name}: left out"],
        warnings={"20300110T100000_cis": (f"{name} is odd",)},
        failed={"20300215T110000_dmi": f"{name} cannot be read"},
        written=(),
        done=(),
        extended=(),
        splits=(),
        store=SimpleNamespace(path=Path("autoice.zarr"), state="complete"),
    )
    note, warning, failed, outcome = format_prepare_report(report).split("\n")
    shown = r"a\nerror: FAKE\x1b[2J\udcff.nc"
    assert note == f"{shown}: left out"
    assert warning == f"warning: scene 20300110T100000_cis: {shown} is odd"
    assert failed == f"failed: {shown} cannot be read"
    assert is_printable(outcome)
