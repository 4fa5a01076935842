"""The published studies as lists of experiments, each beside the rows that it reproduces.

Nothing is read but recipes, and nothing is done: ``study`` runs experiments, ``study_table`` shows
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from autoice_bench.baselines.recipes.loading import load_recipe
from autoice_bench.baselines.runs.naming import name_experiment
from autoice_bench.baselines.settings.values import format_value
from autoice_bench.datasets.store.root import Store
from autoice_bench.errors import BaselineError
from autoice_bench.formats.label_rule import AUTOICE_2022
from autoice_bench.formats.split_file import Split
from autoice_bench.official import OFFICIAL_TEST
from autoice_bench.scoring.leaderboard.published import PublishedResult, read_published

GROUPS: Final = ("sar", "amsr2-18-36", "amsr2-jaxa", "amsr2", "sar+amsr2-18-36", "sar+amsr2")
"""Feature groups 1 to 6 of the ASPP study."""
RATES: Final = ((6, 12, 18), (12, 24, 36), (18, 36, 54))
"""Atrous rates of its Table 3."""
EXTENDED_RATES: Final = ((3, 6, 9), (24, 48, 72))

CROSS_REGION: Final = "cross-region"
_CROSS_REGION_TEST_SCENES: Final = 315
_ASPP: Final = "ASPP"
_UNET: Final = "MMSeaIce U-Net"
_CONFIGURATIONS: Final = ("unet", *(f"unet-{number}" for number in range(2, 10)))


@dataclass(frozen=True)
class Experiment:
    """One row of a study, to be run with several seeds.

    Attributes:
        labels: what the row is called, one text per column of the study's ``header``.
        recipe: name or file of the recipe.
        settings: what is set on top of it, as text.
        published: published results that it stands beside; the first is the one reproduced.
        name: of its runs, without the seed; None for the one that follows from the settings.
    """

    labels: tuple[str, ...]
    recipe: str
    settings: Mapping[str, str]
    published: tuple[PublishedResult, ...] = ()
    name: str | None = None


@dataclass(frozen=True)
class Study:
    """A published table, to be reproduced.

    Attributes:
        title: what it is.
        header: names of the experiments' labels.
        experiments: its rows.
        unplaced: published results that belong to no row for certain.
    """

    title: str
    header: tuple[str, ...]
    experiments: tuple[Experiment, ...]
    unplaced: tuple[PublishedResult, ...] = ()


def plan_aspp_study(
    recipe: str = "aspp",
    settings: Mapping[str, str] | None = None,
    *,
    split: str = "official",
    extended: bool = False,
) -> Study:
    """Table 3 of Vahedi et al. 2025: three rates by six feature groups.

    On splits by region it is the one experiment that the study made there: all features, rates
    6, 12, 18.

    Args:
        recipe: what every experiment starts from.
        settings: set in every experiment.
        split: name of the split.
        extended: also rates 3, 6, 9 and 24, 48, 72, after the others.

    Raises:
        BaselineError: a setting is what the experiments differ in.
    """
    shared = dict(settings or {})
    own = {"rates", "rates_sic", "rates_sod", "rates_floe", "features"}
    _refuse(shared, own, "the study")
    by_region = split.startswith(CROSS_REGION)
    groups, rates = (GROUPS[-1:], RATES[:1]) if by_region else (GROUPS, RATES)
    pairs = [(group, each) for group in groups for each in rates]
    if extended:
        pairs += [(group, each) for group in groups for each in EXTENDED_RATES]
    experiments = tuple(
        Experiment(
            (group, format_value(each)),
            recipe,
            {**shared, "features": group, "rates": format_value(each)},
            _find_aspp(group, format_value(each), split),
        )
        for group, each in pairs
    )
    return Study(
        "Vahedi et al. 2025, arXiv:2507.20507, " + ("section 4.4" if by_region else "Table 3"),
        ("features", "rates"),
        experiments,
        _find_trial() if extended and not by_region else (),
    )


def _find_aspp(group: str, rates: str, split: str) -> tuple[PublishedResult, ...]:
    rows = read_published()
    if split.startswith(CROSS_REGION):
        if split != CROSS_REGION or rates != format_value(RATES[0]):
            return ()
        # The study's own row first, then the one that it compares with.
        return tuple(sorted((row for row in rows if row.board == split), key=_is_other))
    name = f"group {GROUPS.index(group) + 1}"
    return tuple(
        row
        for row in rows
        if (row.system, row.variant, row.rates, row.board) == (_ASPP, name, rates, "official")
    )


def _is_other(row: PublishedResult) -> bool:
    return row.system != _ASPP


def _find_trial() -> tuple[PublishedResult, ...]:
    """The study's trial of rates 24, 48, 72, whose features it does not name."""
    return tuple(row for row in read_published() if row.rates == format_value(EXTENDED_RATES[1]))


def plan_unet_study(
    recipe: str = "unet", settings: Mapping[str, str] | None = None, *, split: str = "official"
) -> Study:
    """Table 4 of Chen et al. 2024: nine configurations of the U-Net.

    Args:
        recipe: what every configuration starts from; with another than ``unet``, configuration N
            has inputs, decoders and SIC of ``unet-N``, and 2 alone sets the resolution.
        settings: set in every configuration.
        split: name of the split; published results are of ``official``.

    Raises:
        BaselineError: a setting is what a configuration differs in.
    """
    shared = dict(settings or {})
    differences = [_find_difference(name) for name in _CONFIGURATIONS]
    own = frozenset().union(*differences)
    _refuse(shared, own, "a configuration")
    # Another recipe may have other inputs: those of configuration 1 are what the others lack.
    first = load_recipe(_CONFIGURATIONS[0]).values()
    common = {key: format_value(first[key]) for key in sorted(own - {"downscale"})}
    as_published = recipe == _CONFIGURATIONS[0]
    base = name_experiment(load_recipe(recipe, shared), load_recipe(recipe), split)
    experiments = []
    for number, (name, difference) in enumerate(zip(_CONFIGURATIONS, differences, strict=True), 1):
        published = tuple(
            row
            for row in read_published()
            if (row.system, row.board) == (_UNET, "official")
            and row.variant.startswith(f"model {number}:")
        )
        variant = published[0].variant.partition(": ")[2]
        labels = (str(number), variant)
        experiments.append(
            Experiment(labels, name, shared, published)
            if as_published
            else Experiment(
                labels,
                recipe,
                {**shared, **common, **difference},
                published,
                f"{base}-config-{number}",
            )
        )
    return Study(
        "Chen et al. 2024, doi:10.5194/tc-18-1621-2024, Table 4",
        ("configuration", "what differs"),
        tuple(experiments),
    )


def _find_difference(name: str) -> dict[str, str]:
    """What a configuration sets that configuration 1 does not, as text."""
    first, other = load_recipe(_CONFIGURATIONS[0]).values(), load_recipe(name).values()
    return {
        key: format_value(value)
        for key, value in other.items()
        if key not in ("name", "description") and value != first[key]
    }


def _refuse(settings: Mapping[str, str], own: set[str] | frozenset[str], whose: str) -> None:
    clash = sorted(own & settings.keys())
    if clash:
        raise BaselineError(
            f"setting {clash[0]}: {whose} sets it itself; run `autoice-bench baseline` for a "
            "single experiment of your own"
        )


def select_part(study: Study, part: str | None) -> Study:
    """Every N-th experiment of a study, beginning with the K-th.

    Args:
        study: whole.
        part: ``K/N``, such as ``3/18``; with N experiments it is the K-th. None for all.

    Raises:
        BaselineError: it is not K/N, or there are fewer experiments than N.
    """
    if part is None:
        return study
    try:
        number, count = (int(text) for text in part.split("/"))
    except ValueError:
        number = count = 0
    n_experiments = len(study.experiments)
    if not 1 <= number <= count <= n_experiments:
        raise BaselineError(
            f"part {part!r}; expected K/N with K from 1 to N and N at most {n_experiments}, such "
            f"as 3/{n_experiments} for the third experiment"
        )
    return replace(study, experiments=study.experiments[number - 1 :: count])


def explain_incomparable(store: Store, split: Split) -> str | None:
    """Why published scores cannot be compared with scores on a split; None where they can.

    Args:
        store: holds the scenes.
        split: what is trained and tested on.
    """
    if store.options.simulated:
        return "the published scores are of real scenes; these scenes are simulated"
    rule = store.options.label_rule
    if rule != AUTOICE_2022:
        return f"the published scores are of the released labels; these are {rule}"
    if split.name == CROSS_REGION:
        expected = _CROSS_REGION_TEST_SCENES
        same = len(split.test) == expected
    else:
        expected = len(OFFICIAL_TEST)
        same = set(split.test) == set(OFFICIAL_TEST)
    if same:
        return None
    return (
        f"the published scores are of {expected} test scenes; split {split.name} has "
        f"{len(split.test)}" + (" others" if len(split.test) == expected else "")
    )
