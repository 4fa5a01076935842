from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoice_bench.formats.variables import (
    AMSR2_VARIABLES,
    DISTANCE_MAP,
    ERA5_VARIABLES,
    N_DISTANCE_ZONES,
    PIXEL_SPACING_M,
    PIXELS_PER_CELL,
    RTT_VARIABLE_ORDER,
    SAR_VARIABLES,
    STANDARDISED_VARIABLES,
    VARIABLES,
    Variable,
    describe_disguised,
    describe_extrema,
    describe_unlikely_size,
    destandardise,
    standardise,
)


def test_there_are_29_variables_in_file_order() -> None:
    # 3 charts, 2 tie-point arrays, 3 SAR, the distance map, 14 brightness temperatures, 6 of ERA5.
    assert len(RTT_VARIABLE_ORDER) == len(set(RTT_VARIABLE_ORDER)) == 3 + 2 + 3 + 1 + 14 + 6
    assert RTT_VARIABLE_ORDER[:3] == ("SIC", "SOD", "FLOE")
    assert RTT_VARIABLE_ORDER[5] == "nersc_sar_primary"
    assert RTT_VARIABLE_ORDER[-1] == "tclw"


def test_groups_have_their_grids() -> None:
    assert {variable.grid for variable in (*SAR_VARIABLES, DISTANCE_MAP)} == {"80m"}
    assert {variable.grid for variable in (*AMSR2_VARIABLES, *ERA5_VARIABLES)} == {"2km"}
    assert DISTANCE_MAP.dims == ("sar_lines", "sar_samples")
    assert VARIABLES["t2m"].dims == ("2km_grid_lines", "2km_grid_samples")


def test_a_cell_is_two_kilometres() -> None:
    assert PIXEL_SPACING_M * PIXELS_PER_CELL == 2000


def test_amsr2_bands_alternate_polarisation() -> None:
    assert [variable.name for variable in AMSR2_VARIABLES[:4]] == [
        "btemp_6_9h",
        "btemp_6_9v",
        "btemp_7_3h",
        "btemp_7_3v",
    ]
    assert VARIABLES["btemp_18_7h"].long_name.endswith("18.7 GHz, horizontal polarisation")


@pytest.mark.parametrize("variable", STANDARDISED_VARIABLES, ids=lambda variable: variable.name)
def test_constants_are_plausible(variable: Variable) -> None:
    assert variable.std > 0
    assert variable.raw_min < variable.mean < variable.raw_max


def test_vertical_brightness_exceeds_horizontal() -> None:
    # Over water and ice alike emission is stronger in vertical polarisation.
    horizontal, vertical = AMSR2_VARIABLES[::2], AMSR2_VARIABLES[1::2]
    assert all(h.mean < v.mean for h, v in zip(horizontal, vertical, strict=True))


def test_standardise_known_values() -> None:
    variable = Variable("x", "2km", "K", 200.0, 50.0, 0.0, 300.0, "x")
    # (250 - 200) / 50 = 1, (150 - 200) / 50 = -1
    z = standardise(variable, np.array([250.0, 150.0, 200.0], np.float32))
    np.testing.assert_array_equal(z, [1.0, -1.0, 0.0])
    np.testing.assert_array_equal(destandardise(variable, z), [250.0, 150.0, 200.0])
    assert z.dtype == np.float32


@given(
    st.sampled_from(STANDARDISED_VARIABLES),
    st.lists(st.floats(0, 1), min_size=1, max_size=20),
    st.sampled_from([np.float32, np.float64]),
)
def test_destandardise_inverts_standardise(
    variable: Variable, fractions: list[float], dtype: type[np.floating]
) -> None:
    span = variable.raw_max - variable.raw_min
    raw = (variable.raw_min + span * np.array(fractions)).astype(dtype)
    back = destandardise(variable, standardise(variable, raw))
    # Rounding is relative to the largest magnitude that passes through: mean or extremum.
    scale = max(abs(variable.raw_min), abs(variable.raw_max), abs(variable.mean))
    assert np.all(np.abs(back - raw) <= 8 * np.finfo(dtype).eps * scale)
    assert back.dtype == dtype


def test_distance_zones_survive_standardisation() -> None:
    zones = np.arange(N_DISTANCE_ZONES, dtype=np.float32)
    back = destandardise(DISTANCE_MAP, standardise(DISTANCE_MAP, zones))
    np.testing.assert_array_equal(np.rint(back), zones)
    assert (DISTANCE_MAP.raw_min, DISTANCE_MAP.raw_max) == (0, N_DISTANCE_ZONES - 1)


@pytest.mark.parametrize(
    ("name", "low", "high", "possible"),
    [
        ("nersc_sar_primary", -380, 25, True),  # the tail of released scenes
        ("nersc_sar_primary", -401, 25, False),
        ("nersc_sar_secondary", -463, 23, True),  # released
        ("nersc_sar_secondary", -9999, 23, False),
        ("btemp_18_7h", 93, 274, True),
        ("btemp_18_7h", 0, 274, False),  # 0 K
        ("btemp_18_7h", 93, 655.35, False),  # the largest packed value
        ("t2m", 230, 293, True),
        ("t2m", -43, 20, False),  # Celsius
        ("skt", 149, 293, False),
        ("u10m_rotated", -9999, 19, False),
        ("tcwv", -1e-6, 39, True),
        ("tclw", -9999, 1, False),
    ],
)
def test_what_is_no_measurement(name: str, low: float, high: float, possible: bool) -> None:
    problem = describe_disguised(VARIABLES[name], low, high)
    assert (problem is None) == possible
    if problem is not None:
        assert problem.startswith(
            f"spans {low:.6g} to {high:.6g} {VARIABLES[name].units}; possible"
        )


def test_released_extrema_are_possible_and_no_remark() -> None:
    for variable in STANDARDISED_VARIABLES:
        if variable is DISTANCE_MAP:  # zones have a check of their own
            continue
        assert describe_disguised(variable, variable.raw_min, variable.raw_max) is None
        assert describe_extrema(variable, variable.raw_min, variable.raw_max) is None
        beyond = variable.raw_max + variable.std
        assert describe_extrema(variable, variable.raw_min, beyond) is not None


@pytest.mark.parametrize(
    ("shape", "likely"),
    [
        ((5000, 5312), True),
        ((32_768, 8_192), True),  # 2^28 pixels
        ((32_769, 100), False),
        ((20_000, 20_000), False),
        ((100_000, 100_000), False),
        ((0, 5000), False),
        ((5000,), False),
        ((1, 5000, 5000), False),
        ((), False),
    ],
)
def test_unlikely_sizes(shape: tuple[int, ...], likely: bool) -> None:
    assert (describe_unlikely_size(shape) is None) == likely
    # Raw scenes have twice as many along each side.
    assert (describe_unlikely_size(tuple(2 * size for size in shape), 2) is None) == likely
