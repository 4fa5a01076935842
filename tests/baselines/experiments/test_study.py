"""Studies: which runs they hold, what is done again and what is not, and what the tables say."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from lightning_fabric import Fabric
from numpy.typing import NDArray

from autoice_bench.baselines.experiments import run as workflow
from autoice_bench.baselines.experiments import study as study_module
from autoice_bench.baselines.experiments.plan import PlannedRun
from autoice_bench.baselines.experiments.published_protocol import (
    make_labels_coarse,
    score_by_published_protocol,
)
from autoice_bench.baselines.experiments.run import RunReport
from autoice_bench.baselines.experiments.study import (
    CoarseLabels,
    RunOutcome,
    StudyResult,
    StudyRun,
    Tiled,
    choose_tiling,
    plan_study_runs,
    read_outcome,
    run_study,
)
from autoice_bench.baselines.experiments.study_plan import (
    EXTENDED_RATES,
    GROUPS,
    Experiment,
    Study,
    explain_incomparable,
    plan_aspp_study,
    plan_unet_study,
    select_part,
)
from autoice_bench.baselines.experiments.study_table import (
    average,
    average_difference,
    compare_published,
    compare_second,
    subtract,
    to_record,
)
from autoice_bench.baselines.inference.tiles import Tiling
from autoice_bench.baselines.recipes.loading import load_recipe
from autoice_bench.baselines.runs.folder import RunFolder
from autoice_bench.charts import CHARTS, FILL_VALUE
from autoice_bench.cli import main
from autoice_bench.commands.baseline.work import report_work
from autoice_bench.datasets.store.root import open_store
from autoice_bench.errors import BaselineError
from autoice_bench.formats.label_rule import LabelRule
from autoice_bench.formats.split_file import read_split
from autoice_bench.official import OFFICIAL_TEST
from autoice_bench.scoring.evaluate import evaluate
from autoice_bench.scoring.leaderboard.published import PublishedResult, read_published
from autoice_bench.scoring.predictions.writing import write_prediction
from autoice_bench.scoring.scores import build_scores
from autoice_bench.scoring.truth.store_truth import StoreTruth
from autoice_bench.text.studies import describe_failures, describe_runs, format_result

TINY_ASPP = {
    "encoder": "resnet18",
    "weights": "none",
    "patch_size": "64",
    "patches_per_scene": "1",
    "batch_size": "2",
    "workers": "0",
    "precision": "fp32",
    "test_checkpoint": "last",
}
TINY_UNET = {
    "widths": "4,4,4,4",
    "patch_size": "32",
    "patches_per_epoch": "4",
    "batch_size": "2",
    "val": "split",
    "workers": "0",
    "precision": "fp32",
}


# Plans


def test_the_aspp_study_is_the_18_experiments_of_the_published_table() -> None:
    study = plan_aspp_study()
    assert len(study.experiments) == 18
    assert [e.labels for e in study.experiments[:4]] == [
        ("sar", "6,12,18"),
        ("sar", "12,24,36"),
        ("sar", "18,36,54"),
        ("amsr2-18-36", "6,12,18"),
    ]
    assert all(len(experiment.published) == 1 for experiment in study.experiments)
    assert all(experiment.published[0].n_runs == 2 for experiment in study.experiments)
    # Every published row of the table is used, and once.
    used = {experiment.published[0] for experiment in study.experiments}
    table = {
        row for row in read_published() if row.system == "ASPP" and row.n_runs == 2
    }  # trials and single runs apart
    assert used == table
    by_labels = {experiment.labels: experiment for experiment in study.experiments}
    assert by_labels["sar+amsr2", "6,12,18"].published[0].combined == 81.58
    assert by_labels["amsr2-jaxa", "12,24,36"].published[0].features == "AMSR2 18.7V 36.5H/V 23.8V"


def test_every_experiment_of_the_aspp_study_is_a_recipe() -> None:
    for experiment in plan_aspp_study("demo", {"lr": "1e-4"}, extended=True).experiments:
        recipe = load_recipe(experiment.recipe, experiment.settings)
        rates = ",".join(map(str, recipe.values()["rates"]))
        assert (recipe.features, rates) == experiment.labels
        assert recipe.optimiser.lr == 1e-4
        assert recipe.values()["encoder"] == "resnet18"


def test_extended_experiments_come_after_the_others() -> None:
    study = plan_aspp_study(extended=True)
    assert study.experiments[:18] == plan_aspp_study().experiments
    rest = study.experiments[18:]
    assert len(rest) == len(EXTENDED_RATES) * len(GROUPS) == 12
    assert {experiment.labels[1] for experiment in rest} == {"3,6,9", "24,48,72"}
    # The study's trial of 24, 48, 72 does not say its features: it stands beside no row.
    assert not any(experiment.published for experiment in rest)
    assert [row.combined for row in study.unplaced] == [57.42]


def test_cross_region_is_one_experiment_beside_both_published_rows() -> None:
    (experiment,) = plan_aspp_study(split="cross-region").experiments
    assert experiment.labels == ("sar+amsr2", "6,12,18")
    assert [(row.system, row.combined) for row in experiment.published] == [
        ("ASPP", 89.03),
        ("MFDA", 77.48),
    ]
    (strict,) = plan_aspp_study(split="cross-region-strict").experiments
    assert strict.published == ()


def test_the_unet_study_is_the_nine_configurations() -> None:
    study = plan_unet_study()
    recipes = [experiment.recipe for experiment in study.experiments]
    assert recipes == ["unet", *(f"unet-{n}" for n in range(2, 10))]
    combined = [experiment.published[0].combined for experiment in study.experiments]
    assert combined == [86.5, 79.7, 78.6, 82.2, 85.2, 82.5, 86.5, 83.5, 87.3]
    assert all(experiment.published[0].n_runs == 20 for experiment in study.experiments)


def test_configurations_on_another_recipe_set_what_the_published_ones_set() -> None:
    study = plan_unet_study("unet-demo", {"epochs": "3"})
    for number, experiment in enumerate(study.experiments, start=1):
        ours = load_recipe(experiment.recipe, experiment.settings).values()
        published = load_recipe("unet" if number == 1 else f"unet-{number}").values()
        for field in ("features", "sic_output", "sic_loss", "separate_decoders"):
            assert ours[field] == published[field]
        assert ours["downscale"] == (1 if number == 2 else load_recipe("unet-demo").downscale)
        assert ours["epochs"] == 3
        assert experiment.name == f"unet-demo-epochs-3-config-{number}"


@pytest.mark.parametrize("field", ["rates", "features", "rates_sod"])
def test_the_aspp_study_refuses_settings_that_it_makes_itself(field: str) -> None:
    with pytest.raises(BaselineError, match=f"setting {field}: the study sets it itself"):
        plan_aspp_study(settings={field: "1"})


def test_the_unet_study_refuses_settings_that_it_makes_itself() -> None:
    with pytest.raises(BaselineError, match="setting downscale: a configuration sets it itself"):
        plan_unet_study(settings={"downscale": "5"})


def test_a_part_is_one_experiment_of_as_many() -> None:
    study = plan_aspp_study()
    assert select_part(study, "3/18").experiments == (study.experiments[2],)
    assert select_part(study, "18/18").experiments == (study.experiments[17],)
    # The fourth of six parts: experiments 4, 10 and 16.
    assert select_part(study, "4/6").experiments == study.experiments[3::6]


@given(st.integers(1, 18))
def test_parts_hold_every_experiment_once(count: int) -> None:
    study = plan_aspp_study()
    parts = [select_part(study, f"{k}/{count}").experiments for k in range(1, count + 1)]
    assert all(parts)
    found = sorted(e.labels for part in parts for e in part)
    assert found == sorted(e.labels for e in study.experiments)


@pytest.mark.parametrize("part", ["0/18", "19/18", "1/19", "3", "a/b", "1/2/3", "-1/18", ""])
def test_a_part_that_is_none_is_refused(part: str) -> None:
    with pytest.raises(BaselineError, match="expected K/N with K from 1 to N and N at most 18"):
        select_part(plan_aspp_study(), part)


def test_runs_come_seed_by_seed(prepared_store: Path, tmp_path: Path) -> None:
    study = select_part(plan_aspp_study(settings=TINY_ASPP), "1/9")
    runs = plan(study, prepared_store, tmp_path, seeds=(3, 1))
    assert [(run.experiment.labels[0], run.planned.seed) for run in runs] == [
        ("sar", 3),
        ("amsr2", 3),
        ("sar", 1),
        ("amsr2", 1),
    ]
    assert len({run.planned.folder for run in runs}) == 4


def test_tiles_are_of_the_patch_size() -> None:
    aspp = load_recipe("aspp")
    assert choose_tiling(aspp) == Tiling(768, 128)
    assert choose_tiling(aspp.with_values(patch_size=160)) == Tiling(160, 64)
    assert choose_tiling(aspp.with_values(patch_size=100)) == Tiling(128, 64)
    assert choose_tiling(aspp.with_values(patch_size=32)) == Tiling(32, 0)


def test_only_scores_on_the_released_test_scenes_are_compared(prepared_store: Path) -> None:
    store, split = open_store(prepared_store), read_split(prepared_store, "official")
    assert "simulated" in str(explain_incomparable(store, split))
    real = replace(store, options=replace(store.options, simulated=False))
    assert "20 test scenes; split official has 2" in str(explain_incomparable(real, split))
    official = replace(split, test=tuple(sorted(OFFICIAL_TEST)))
    assert explain_incomparable(real, official) is None
    others = replace(split, test=(*sorted(OFFICIAL_TEST[1:]), "20991231T000000_cis"))
    assert "has 20 others" in str(explain_incomparable(real, others))
    ours = LabelRule(real.options.label_rule.name, 50, 50)
    relabelled = replace(real, options=replace(real.options, label_rule=ours))
    assert "released labels" in str(explain_incomparable(relabelled, official))
    cross = replace(split, name="cross-region", test=official.test)
    assert "315 test scenes" in str(explain_incomparable(real, cross))


# Tables


def published(combined: float, std: float | None, sic: float, n_runs: int) -> PublishedResult:
    return PublishedResult(
        "S", "v", "", "", "official", n_runs, sic, 70.0, None, combined, std, "paper", "yes", ""
    )


def scores(combined: float | None, sic: float | None = 0.0) -> dict[str, float | None]:
    return {"combined": combined, "SIC": sic, "SOD": 60.0, "FLOE": 50.0}


def outcome(experiment: Experiment, seed: int, **values: Any) -> RunOutcome:
    recipe = load_recipe("demo")
    folder = Path(f"runs/x-seed{seed}")
    planned = PlannedRun(recipe, seed, None, None, "official", folder, folder)  # type: ignore[arg-type]
    return RunOutcome(StudyRun(experiment, planned), values.pop("state", "finished"), **values)


def test_means_and_differences_are_those_worked_out_by_hand() -> None:
    mean = average([80.0, 84.0])
    assert mean is not None
    assert mean.mean == 82.0
    # (2^2 + 2^2) / (2 - 1) = 8
    assert mean.std == pytest.approx(math.sqrt(8))
    assert average([80.0]) == (80.0, None, 1)
    assert average([]) is None
    assert average([80.0, None]) is None
    # sqrt(8 / 2 + 2^2 / 4) = sqrt(5)
    other = average([86.0, 86.0])
    assert other is not None
    difference = subtract(mean, other._replace(std=2.0, n=4))
    assert difference.value == -4.0
    assert difference.std == pytest.approx(math.sqrt(5))
    assert subtract(mean, other._replace(std=None)) == (-4.0, None)


def test_differences_of_the_same_runs_are_paired() -> None:
    # Differences 1 and 3: mean 2, s = sqrt(2), over sqrt(2) runs: 1. Unpaired it would be 5.4.
    paired = average_difference([(81.0, 80.0), (93.0, 90.0)])
    assert paired is not None
    assert paired.value == 2.0
    assert paired.std == pytest.approx(1.0)
    assert average_difference([(81.0, 80.0)]) == (1.0, None)
    assert average_difference([(81.0, None)]) is None
    assert average_difference([]) is None


def test_an_experiment_stands_beside_its_published_row() -> None:
    experiment = Experiment(("a",), "demo", {}, (published(86.0, 2.0, 90.0, 4),))
    other = Experiment(("b",), "demo", {})
    study = Study("t", ("name",), (experiment, other))
    outcomes = [
        outcome(experiment, 1, scores=scores(84.0, 92.0), second=scores(85.0)),
        outcome(experiment, 0, scores=scores(80.0, 91.0), second=scores(80.0)),
        outcome(experiment, 2, state="failed", error="no memory"),
        outcome(other, 0, state="not begun"),
    ]
    first, second = compare_published(study, outcomes, comparable=True)
    assert first.labels == ("a",)
    assert first.n_runs == (2, 3)
    assert first.differences["SIC"] == (1.5, None)
    assert first.differences["SOD"] == (-10.0, None)
    assert first.differences["FLOE"] is None  # not published
    combined = first.differences["combined"]
    assert combined is not None
    assert combined.std == pytest.approx(math.sqrt(5))
    assert second.n_runs == (0, 1)
    assert second.differences["combined"] is None
    (tiles, _) = compare_second(study, outcomes)
    paired = tiles.differences["combined"]
    assert paired is not None
    assert paired.value == 0.5
    assert paired.std == pytest.approx(0.5)

    result = StudyResult(study, tuple(outcomes), Tiled(Tiling(160, 64)), None)
    text = format_result(result).splitlines()
    assert text[3].split() == [
        *("a", "2/3", "82.00", "±", "2.83", "86.00", "±", "2.00", "-4.00", "±", "2.24"),
        *("91.50", "90.00", "+1.50", "60.00", "70.00", "-10.00", "50.00", "–", "–"),
    ]
    assert "tiles of 160 pixels, overlap 64" in "\n".join(text)
    assert describe_failures(outcomes) == "x-seed2: no memory"
    assert "4 runs, 2 finished" in describe_runs(outcomes)
    record = json.loads(json.dumps(to_record(result), allow_nan=False))
    assert record["published"][0]["difference"]["SIC"] == {"value": 1.5, "std": None}
    assert record["second"]["rows"][0]["difference"]["combined"]["value"] == 0.5
    assert [run["seed"] for run in record["experiments"][0]["runs"]] == [0, 1, 2]


def test_what_was_published_by_the_second_score_stands_beside_that() -> None:
    experiment = Experiment(("a",), "demo", {}, (published(86.0, 2.0, 90.0, 4),))
    study = Study("t", ("name",), (experiment,))
    outcomes = (
        outcome(experiment, 0, scores=scores(80.0), second=scores(84.0)),
        outcome(experiment, 1, scores=scores(81.0), second=scores(87.0)),
        outcome(experiment, 2, scores=scores(10.0)),
    )
    result = StudyResult(study, outcomes, CoarseLabels(), None)
    lines = format_result(result).splitlines()
    assert "published protocol" in lines[0]
    assert lines[2].split()[2:5] == ["protocol", "published", "difference"]
    # Mean 85.5, s = sqrt(4.5); sqrt(4.5 / 2 + 4 / 4) = sqrt(3.25) = 1.80. The third has no such
    # score yet.
    assert lines[3].split()[:10] == [
        *("a", "2/3", "85.50", "±", "2.12", "86.00", "±", "2.00", "-0.50", "±")
    ]
    assert lines[3].split()[10] == "1.80"
    # Below: 85.5 beside the official 80.5 of the same runs; differences 4 and 6.
    (beside,) = [line for line in lines[4:] if line.startswith("a ")]
    assert beside.split()[2:11] == [
        *("85.50", "±", "2.12", "80.50", "±", "0.71", "+5.00", "±", "1.00")
    ]
    record = to_record(result)
    assert record["published_as"] == CoarseLabels().name
    assert record["published"][0]["difference"]["combined"]["value"] == -0.5


def test_what_is_not_comparable_has_no_differences() -> None:
    experiment = Experiment(("a",), "demo", {}, (published(86.0, 2.0, 90.0, 4),))
    study = Study("t", ("name",), (experiment,))
    done = (outcome(experiment, 0, scores=scores(84.0)),)
    result = StudyResult(study, done, None, "these scenes are simulated")
    text = format_result(result)
    assert "not comparable: these scenes are simulated" in text
    assert "difference" not in text.splitlines()[2]
    assert "86.00" in text
    assert set(to_record(result)["published"][0]["difference"].values()) == {None}


def test_several_published_rows_are_named() -> None:
    experiment = plan_aspp_study(split="cross-region").experiments[0]
    study = Study("t", ("features", "rates"), (experiment,))
    done = (outcome(experiment, 0, scores=scores(84.03)),)
    lines = format_result(StudyResult(study, done, None, None)).splitlines()
    assert lines[3].startswith("sar+amsr2  6,12,18  ASPP")
    assert "-5.00" in lines[3]
    assert "MFDA" in lines[4]
    assert "+6.55" in lines[4]


# Running


def plan(study: Study, store: Path, folder: Path, seeds: tuple[int, ...] = (0,)) -> list[StudyRun]:
    return plan_study_runs(
        study,
        store=store,
        split="official",
        seeds=seeds,
        runs=folder / "runs",
        preds=folder / "preds",
    )


class FakeWork:
    """Stands in for training: notes the runs, and leaves their records as if trained."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.failing: set[str] = set()
        self.interrupting: set[str] = set()

    def do_run(self, planned: PlannedRun, fabric: Fabric, report: workflow.Reporter) -> RunReport:
        self.done.append(planned.name)
        workflow._create(planned)
        run = RunFolder(planned.folder)
        if planned.name in self.failing:
            run.update(state="failed", error="no memory")
            raise BaselineError("no memory")
        if planned.name in self.interrupting:
            run.update(state="interrupted")
            return RunReport(planned, "interrupted", 0, None)
        values = scores(50.0 + planned.seed)
        run.update(state="finished", outcome="finished", scores={"official": values})
        rows = [{"chart": name, "official": value} for name, value in values.items()]
        return RunReport(planned, "finished", 1, {"scores": rows})


class FakeScore:
    name = "another score"
    label = "another"
    is_published = False

    def __init__(self) -> None:
        self.computed: list[str] = []

    def compute(
        self, planned: PlannedRun, device: str, report: workflow.Reporter
    ) -> Mapping[str, float | None]:
        self.computed.append(planned.name)
        return scores(40.0)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> FakeWork:
    fake = FakeWork()
    monkeypatch.setattr(study_module, "do_run", fake.do_run)
    return fake


@pytest.fixture(scope="module")
def fabric() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


@pytest.fixture
def runs(prepared_store: Path, tmp_path: Path) -> list[StudyRun]:
    study = select_part(plan_aspp_study(settings=TINY_ASPP), "1/9")
    return plan(study, prepared_store, tmp_path, seeds=(0, 1))


def test_finished_runs_are_not_done_again(
    work: FakeWork, fabric: Fabric, runs: list[StudyRun]
) -> None:
    names = [run.planned.name for run in runs]
    assert {read_outcome(run).state for run in runs} == {"not begun"}
    first = run_study(runs, fabric, report_work)
    assert work.done == names
    assert [each.state for each in first] == ["finished"] * 4
    assert [each.scores and each.scores["combined"] for each in first] == [50.0, 50.0, 51.0, 51.0]
    again = run_study(runs, fabric, report_work)
    assert work.done == names
    assert again == first


def test_a_second_score_is_added_to_finished_runs_once(
    work: FakeWork, fabric: Fabric, runs: list[StudyRun]
) -> None:
    run_study(runs, fabric, report_work)
    second = FakeScore()
    outcomes = run_study(runs, fabric, report_work, second)
    assert [each.second and each.second["combined"] for each in outcomes] == [40.0] * 4
    assert run_study(runs, fabric, report_work, second) == outcomes
    assert second.computed == [run.planned.name for run in runs]
    assert read_outcome(runs[0]).second is None


def test_a_failed_run_does_not_stop_the_others_and_is_tried_again(
    work: FakeWork, fabric: Fabric, runs: list[StudyRun]
) -> None:
    names = [run.planned.name for run in runs]
    work.failing = {names[1]}
    outcomes = run_study(runs, fabric, report_work)
    assert work.done == names
    assert [each.error for each in outcomes] == [None, "no memory", None, None]
    assert read_outcome(runs[1]).error == "no memory"
    work.failing, work.done = set(), []
    outcomes = run_study(runs, fabric, report_work)
    assert work.done == [names[1]]
    assert [each.error for each in outcomes] == [None] * 4


def test_a_signal_leaves_the_rest_as_it_is(
    work: FakeWork, fabric: Fabric, runs: list[StudyRun]
) -> None:
    names = [run.planned.name for run in runs]
    work.interrupting = {names[1]}
    outcomes = run_study(runs, fabric, report_work)
    assert work.done == names[:2]
    states = ["finished", "interrupted", "not begun", "not begun"]
    assert [each.state for each in outcomes] == states
    assert StudyResult(plan_aspp_study(), outcomes, None, None).is_interrupted


def test_a_folder_of_other_settings_lends_no_scores(
    work: FakeWork, fabric: Fabric, runs: list[StudyRun]
) -> None:
    run_study(runs, fabric, report_work)
    planned = runs[0].planned
    other = replace(runs[0], planned=replace(planned, recipe=planned.recipe.with_values(lr=1.0)))
    assert read_outcome(other).scores is None
    (failed,) = run_study([other], fabric, report_work)
    assert "was begun with lr" in str(failed.error)


# The published protocol


def test_coarse_labels_hold_the_first_pixel_of_each_block() -> None:
    labels = np.arange(30, dtype=np.uint8).reshape(5, 6)
    coarse = make_labels_coarse(labels, 4)
    assert coarse.tolist() == [
        *[[0, 0, 0, 0, 4, 4]] * 4,
        [24, 24, 24, 24, 28, 28],
    ]
    assert np.array_equal(make_labels_coarse(labels, 1), labels)


def test_predicting_the_coarse_labels_is_perfect_by_the_published_protocol_only(
    prepared_store: Path, tmp_path: Path
) -> None:
    truth = StoreTruth(prepared_store)

    def predict(name: str, ratio: int) -> Path:
        for scene in truth.select("official", "test"):
            charts: dict[str, NDArray[np.uint8]] = {}
            for chart in CHARTS:
                values = make_labels_coarse(truth.read(scene.scene_id)[chart.name], ratio)
                charts[chart.name] = np.where(values == FILL_VALUE, 0, values).astype(np.uint8)
            write_prediction(tmp_path / name, scene.scene_id, charts)
        return tmp_path / name

    coarse, fine = predict("coarse", 10), predict("fine", 1)
    of_coarse = score_by_published_protocol(coarse, prepared_store, split="official")
    assert of_coarse["combined"] == 100.0
    of_fine = score_by_published_protocol(fine, prepared_store, split="official")
    assert of_fine["combined"] is not None
    assert of_fine["combined"] < 100.0
    # With a ratio of 1 the labels are as released, and the score is the official one.
    rows = build_scores(evaluate(coarse, truth), "x").query("metric == 'official'")
    official = rows[rows["group_kind"] == "all"].set_index("chart")["value"]
    expected = {name: float(official[name]) for name in of_coarse}
    assert (
        score_by_published_protocol(coarse, prepared_store, split="official", ratio=1) == expected
    )


# The commands


def invoke(command: str, store: Path, folder: Path, *options: str, **settings: str) -> Result:
    words = [word for key, text in settings.items() for word in ("--set", f"{key}={text}")]
    places = ["--runs", str(folder / "runs"), "--preds", str(folder / "preds")]
    return CliRunner().invoke(
        main,
        ["baseline", command, "--store", str(store), *places, "--device", "cpu", *options, *words],
    )


def test_dry_run_lists_the_36_runs(prepared_store: Path, tmp_path: Path) -> None:
    result = invoke("study", prepared_store, tmp_path, "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    experiments = json.loads(result.stdout)["experiments"]
    states = [run["state"] for experiment in experiments for run in experiment["runs"]]
    assert states == ["not begun"] * 36
    assert not (tmp_path / "runs").exists()
    text = invoke("study", prepared_store, tmp_path, "--dry-run").stdout
    assert "36 runs, 0 finished" in text


def test_a_tiny_study_end_to_end(
    prepared_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--only", "16/18", "--epochs", "1", "--seeds", "0", "--tile", "64")
    result = invoke("study", prepared_store, tmp_path, *options, **TINY_ASPP)
    assert result.exit_code == 0, result.output
    assert "projected: about" in result.stderr
    assert "not comparable: the published scores are of real scenes" in result.stdout
    assert "81.58" in result.stdout
    assert "tiles of 64 pixels, overlap 32" in result.stdout
    assert len(list((tmp_path / "preds").iterdir())) == 2

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("done again")

    monkeypatch.setattr(workflow, "train", forbidden)
    monkeypatch.setattr(workflow, "predict", forbidden)
    monkeypatch.setattr(study_module, "predict", forbidden)
    again = invoke("study", prepared_store, tmp_path, *options, **TINY_ASPP)
    assert again.stdout == result.stdout


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("study", ["--only", "19/18"], "N at most 18"),
        ("study", ["--set", "rates=1,2,3"], "the study sets it itself"),
        ("study", ["--set", "learning=1"], "learning"),
        ("study", ["--recipe", "asp"], "no recipe 'asp'"),
        ("study", ["--tile", "100"], "multiple of 32"),
        ("study", ["--tile", "big"], "expected none or pixels"),
        ("study", ["--epochs", "2", "--set", "epochs=2"], "give one of them"),
        ("study", ["--seeds", "1,1"], "different"),
        ("unet-study", ["--set", "features=sar"], "a configuration sets it itself"),
        ("unet-study", ["--only", "1/10"], "N at most 9"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_done(
    command: str, options: list[str], message: str, prepared_store: Path, tmp_path: Path
) -> None:
    result = invoke(command, prepared_store, tmp_path, *options)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.stderr.split())
    assert not list(tmp_path.iterdir())


def test_a_failure_is_named_at_the_end(prepared_store: Path, tmp_path: Path) -> None:
    settings = TINY_ASPP | {"weights": str(tmp_path / "absent.pth")}
    options = ("--only", "1/18", "--epochs", "1", "--seeds", "0", "--tile", "none")
    result = invoke("study", prepared_store, tmp_path, *options, **settings)
    assert result.exit_code == 1
    last = result.stderr.strip().splitlines()
    assert "error: failed:" in last
    assert "absent.pth" in last[-1]


def test_an_interruption_hides_no_failure(
    work: FakeWork, prepared_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_module, "project_study", lambda *_: 1.0)
    options = ("--only", "1/5", "--seeds", "0", "--set", "val=split")
    work.failing, work.interrupting = {"unet-val-split-seed0"}, {"unet-6-val-split-seed0"}
    result = invoke("unet-study", prepared_store, tmp_path, *options)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-3:] == [
        "error: failed:",
        "unet-val-split-seed0: no memory",
        "interrupted; the same command goes on",
    ]


def test_all_nine_configurations_train_and_stand_in_one_table(
    prepared_store: Path, tmp_path: Path
) -> None:
    options = ("--epochs", "1", "--seeds", "0", "--json")
    result = invoke("unet-study", prepared_store, tmp_path, *options, **TINY_UNET)
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert [row["labels"][0] for row in record["published"]] == [str(n) for n in range(1, 10)]
    runs = [run for experiment in record["experiments"] for run in experiment["runs"]]
    assert [run["epochs"] for run in runs] == [1] * 9
    for run in runs:
        metrics = RunFolder(Path(run["run"])).read_metrics()
        assert metrics["steps"].tolist() == [2]
        assert np.isfinite(metrics["train_loss"]).all()
        assert set(run["scores"]) == {"combined", "SIC", "SOD", "FLOE"}
    # Labels as coarse as configuration 2's pixels are the labels.
    assert runs[1]["second_scores"] == runs[1]["scores"]
    text = invoke("unet-study", prepared_store, tmp_path, *options[:-1], **TINY_UNET)
    assert "separate decoders" in text.stdout
    assert "published protocol" in text.stdout
