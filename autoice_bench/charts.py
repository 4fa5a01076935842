"""The three ice charts of the challenge, and ten ice types that a store may hold beside them.

A *class* is this benchmark's index (0, 1, 2, ...); a *code* is a SIGRID-3 number. They never share
an array. Class counts exclude the fill value: 11 for SIC, 6 for SOD, 7 for FLOE.

Source: AutoICE challenge, ready-to-train data set version 3 (Buus-Hinkler et al. 2022,
doi:10.11583/DTU.c.6244065.v2); stage and floe-size names after the WMO sea-ice nomenclature.
Colours follow the WMO colour standard for ice charts (WMO/TD-No. 1215) where it has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

FILL_VALUE: Final = 255
"""Value of a pixel without a label, in every chart."""

OfficialMetric = Literal["r2", "f1"]


@dataclass(frozen=True)
class Chart:
    """One chart of a scene.

    Attributes:
        name: variable name in every file: ``SIC``, ``SOD`` or ``FLOE``.
        long_name: what the chart shows.
        class_names: one name per class, in class order.
        colours: one ``#rrggbb`` per class.
        metric: the challenge's metric: ``r2`` on class indices, or support-weighted ``f1``.
        weight: weight in the combined score (2, 2 and 1).
        rtt_description: value of the ``polygon`` attribute in RTT files.
    """

    name: str
    long_name: str
    class_names: tuple[str, ...]
    colours: tuple[str, ...]
    metric: OfficialMetric
    weight: int
    rtt_description: str

    @property
    def n_classes(self) -> int:
        """Number of classes, the fill value excluded."""
        return len(self.class_names)

    @property
    def mask_class(self) -> int:
        """The extra class some networks emit for masked pixels (11, 6 or 7)."""
        return self.n_classes

    @property
    def values(self) -> tuple[int, ...]:
        """Every value an array of this chart may hold: the classes, then the fill value."""
        return (*range(self.n_classes), FILL_VALUE)


SIC: Final = Chart(
    name="SIC",
    long_name="sea ice concentration",
    class_names=(
        "open water",
        *(f"{percent} %" for percent in range(10, 100, 10)),
        "fully packed ice",
    ),
    colours=(
        "#0064ff",
        "#4cb0ff",
        "#96c8ff",
        "#8cffa0",
        "#b4ff78",
        "#ffff00",
        "#ffd200",
        "#ff9b00",
        "#ff7d07",
        "#ff3200",
        "#c80000",
    ),
    metric="r2",
    weight=2,
    rtt_description="Sea Ice Concentration [%]",
)
SOD: Final = Chart(
    name="SOD",
    long_name="stage of development",
    class_names=(
        "open water",
        "new ice",
        "young ice",
        "thin first-year ice",
        "thick first-year ice",
        "old ice",
    ),
    colours=("#0064ff", "#f0d2fa", "#aa28f0", "#9bd200", "#007700", "#8c3c00"),
    metric="f1",
    weight=2,
    rtt_description="Stage of Development",
)
FLOE: Final = Chart(
    name="FLOE",
    long_name="floe size",
    class_names=(
        "open water",
        "cake ice",
        "small floe",
        "medium floe",
        "big floe",
        "vast floe",
        "bergs",
    ),
    colours=("#0064ff", "#ffe6c8", "#ffc38c", "#f58c50", "#c8503c", "#781e28", "#c8c8d2"),
    metric="f1",
    weight=1,
    rtt_description="Floe Size",
)

CHARTS: Final = (SIC, SOD, FLOE)
CHART_NAMES: Final = tuple(chart.name for chart in CHARTS)


class IceType(NamedTuple):
    """One of the ten ice types: abbreviation, name and stage-of-development code."""

    abbreviation: str
    name: str
    stage_code: int | None


ICE_TYPES: Final = (
    IceType("OW", "open water", None),
    IceType("NI", "new ice", 81),
    IceType("GI", "grey ice", 84),
    IceType("GWI", "grey-white ice", 85),
    IceType("ThinFYI", "thin first-year ice", 87),
    IceType("MFYI", "medium first-year ice", 91),
    IceType("ThickFYI", "thick first-year ice", 93),
    IceType("OI", "old ice", 95),
    IceType("SYI", "second-year ice", 96),
    IceType("MYI", "multi-year ice", 97),
)
"""The types in the order of their index in an ``ice_type`` raster; 255 is everything else."""
