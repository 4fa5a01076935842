from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from autoice_bench.baselines.recipes.loading import load_recipe
from autoice_bench.baselines.runs.folder import RunFolder
from autoice_bench.baselines.runs.listing import list_runs
from autoice_bench.datasets.store.root import Store, StoreOptions
from autoice_bench.formats.split_file import Split
from autoice_bench.text.runs import format_runs

SPLIT = Split("official", "by hand", None, ("a",), ("b",), ("c",))
STORE = Store(Path("autoice.zarr"), StoreOptions(simulated=True), "complete", "f" * 64)


def create(root: Path, seed: int) -> RunFolder:
    recipe = load_recipe("demo").with_values(epochs=12)
    return RunFolder.create(root / f"demo-seed{seed}", recipe, seed=seed, split=SPLIT, store=STORE)


def test_runs_are_told_by_their_metrics_whatever_their_state(tmp_path: Path) -> None:
    create(tmp_path, 0)
    run = create(tmp_path, 1)
    for epoch, combined in ((1, 40.0), (2, 60.0), (3, 50.0)):
        run.append_metrics(
            {"epoch": epoch, "val_combined": combined, "train_seconds": 20.0, "val_seconds": 10.0}
        )
    run.update(state="running", scores={"official": {"combined": 70.5}})
    new, killed = list_runs(tmp_path)
    assert (new["state"], new["epochs"], new["val_combined"]) == ("new", 0, None)
    assert (killed["state"], killed["epochs"], killed["val_combined"]) == ("interrupted", 3, 60.0)
    assert (killed["test_combined"], killed["training_seconds"]) == (70.5, 90.0)
    header, first, second = format_runs([new, killed]).splitlines()
    assert header.split()[:4] == ["run", "state", "recipe", "epochs"]
    assert first.split()[-3:] == ["–", "–", "–"]
    assert second.split()[:4] == ["demo-seed1", "interrupted", "demo", "3/12"]
    assert second.split()[4:] == ["60.000", "70.500", "2", "min"]


def test_listing_needs_no_torch(tmp_path: Path) -> None:
    create(tmp_path, 0)
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from autoice_bench.cli import main\n"
        f"main(['baseline', 'list', '--runs', {str(tmp_path)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "demo-seed0" in done.stdout
