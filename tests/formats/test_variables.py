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
