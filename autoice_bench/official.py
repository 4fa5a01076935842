"""Published scene lists: official test, the ASPP study's validation, withdrawn and omitted.

Sources: the AutoICE challenge's test set (doi:10.11583/DTU.c.6244065.v2, article 21762830); the
validation list of Vahedi et al. 2025 (arXiv 2507.20507), near-certain. Published lists are kept as
published, including their known leaks (see docs/splits.md).
"""

from __future__ import annotations

from typing import Final

OFFICIAL_TEST: Final = (
    "20180124T194759_dmi",
    "20180623T114935_cis",
    "20180707T113313_cis",
    "20180716T110418_cis",
    "20180903T123331_cis",
    "20180917T121813_cis",
    "20190406T102029_cis",
    "20190810T110422_dmi",
    "20191011T131651_cis",
    "20200217T102731_cis",
    "20200319T101935_cis",
    "20200701T114012_cis",
    "20200719T123046_cis",
    "20201013T080448_dmi",
    "20210328T202742_dmi",
    "20210410T201933_dmi",
    "20210430T205436_dmi",
    "20210506T075557_dmi",
    "20210512T214149_cis",
    "20211212T211242_dmi",
)
"""The 20 scenes of the official test set (12 CIS, 8 DMI)."""

STUDY_VALIDATION: Final = (
    "20180325T194759_dmi",
    "20180621T214132_cis",
    "20190105T102726_cis",
    "20190807T121817_cis",
    "20190819T201928_dmi",
    "20190824T131649_cis",
    "20190924T121820_cis",
    "20191008T124919_cis",
    "20200424T101936_cis",
    "20200424T102036_cis",
    "20200506T102036_cis",
    "20200704T111639_cis",
    "20200712T123900_cis",
    "20200716T111235_dmi",
    "20201112T080407_dmi",
    "20201204T211948_dmi",
    "20210321T194818_dmi",
    "20210331T205323_dmi",
    "20210407T101941_cis",
    "20210624T074828_dmi",
    "20210714T114034_cis",
    "20210811T110538_dmi",
    "20210814T211241_dmi",
    "20210816T205443_dmi",
)
"""The 24 validation scenes of the ASPP study."""

STUDY_OMITTED: Final = ("20201117T193110_dmi",)
"""Training scenes that the ASPP study's lists omit (reason not stated): 512 - 24 - 1 = 487."""

WITHDRAWN: Final = ("20200625T081801_dmi",)
"""Scenes the data set's authors withdrew (its chart lost its ice). Never used."""
