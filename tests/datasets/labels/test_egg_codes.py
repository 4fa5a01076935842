from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoice_bench.datasets.labels.egg_codes import (
    NOT_FILLED,
    EggCode,
    Padding,
    format_polygon_codes,
    parse_polygon_codes,
)
from autoice_bench.errors import LabelError

HEADER = "poly_id;CT;CA;SA;FA;CB;SB;FB;CC;SC;FC;CN;CD;CF;POLY_TYPE"
WHERE = "scene 20180607T184326_dmi"

codes = st.one_of(st.just(NOT_FILLED), st.integers(0, 99))
egg_codes = st.builds(
    EggCode,
    poly_id=st.integers(0, 500),
    ct=codes,
    **dict.fromkeys(("ca", "sa", "fa", "cb", "sb", "fb", "cc", "sc", "fc", "cn", "cd"), codes),
    cf=st.sampled_from(["", "-9", "08-9", "0605"]),
    poly_type=st.sampled_from(["I", "W", "w", "O"]),
)


def test_rows_of_the_released_files() -> None:
    rows = (
        HEADER,
        "29;92;30;95;05;70;93;08;-9;-9;-9;-9;-9;08-9;I",
        "76;02;-9;98;10;-9;-9;-9;-9;-9;-9;-9;-9;10-9;W",
        "44;50;20;93;5;20;91;5;10;87;4;98;-9;-9;I",  # the older, unpadded style
    )
    first, second, third = parse_polygon_codes(rows, where=WHERE)

    assert first == EggCode(29, 92, ca=30, sa=95, fa=5, cb=70, sb=93, fb=8, cf="08-9")
    assert (second.ct, second.poly_type, second.forms) == (2, "W", (10, -9, -9))
    assert (third.partials, third.stages, third.cn) == ((20, 20, 10), (93, 91, 87), 98)


@pytest.mark.parametrize("eight", ["08", "8", " 8", "8 ", "  08"])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_padding_and_bytes(eight: str, as_bytes: bool) -> None:
    text = [HEADER, f"26;91;-9;93;{eight};-9;-9;-9;-9;-9;-9;-9;-9;08-9;I"]
    rows: list[str | bytes] = [row.encode() for row in text] if as_bytes else [*text]

    (egg_code,) = parse_polygon_codes(rows, where=WHERE)

    assert egg_code.fa == 8


def test_columns_go_by_name() -> None:
    rows = (
        "EXTRA;poly_type;fc;sc;cc;fb;sb;cb;fa;sa;ca;CT;POLY_ID",
        "x;W;-9;-9;-9;-9;-9;-9;05;93;-9;90;7",
    )
    (egg_code,) = parse_polygon_codes(rows, where=WHERE)

    assert egg_code == EggCode(7, 90, sa=93, fa=5, poly_type="W")


def test_empty_code_is_not_filled_and_blank_row_is_skipped() -> None:
    rows = (HEADER, "26;91; ;93;;-9;-9;-9;-9;-9;-9;;;;I", "   ")
    (egg_code,) = parse_polygon_codes(rows, where=WHERE)

    assert (egg_code.ca, egg_code.fa, egg_code.cn) == (NOT_FILLED,) * 3


def test_bytes_of_another_encoding_matter_in_numbers_only() -> None:
    row = b"26;91;-9;93;08;-9;-9;-9;-9;-9;-9;-9;-9;08-\xe9;W"
    (egg_code,) = parse_polygon_codes([HEADER.encode(), row], where=WHERE)

    assert (egg_code.ct, egg_code.poly_type) == (91, "W")
    with pytest.raises(LabelError, match=r"row 1 .* has CT '9.'; expected a whole number"):
        parse_polygon_codes([HEADER.encode(), row.replace(b"91", b"9\xe9")], where=WHERE)


def test_header_alone_is_an_empty_table() -> None:
    assert parse_polygon_codes([HEADER], where=WHERE) == ()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((), f"{WHERE}: polygon_codes is empty; expected a header"),
        (("26;91;-9",), f"{WHERE}: polygon_codes header '26;91;-9' has 0 columns poly_id"),
        ((HEADER.replace("SA", "SX"),), "has 0 columns SA; expected one of each"),
        ((HEADER + ";CT",), "has 2 columns CT"),
        ((HEADER, "26;91"), f"{WHERE}: polygon_codes row 1 \\('26;91'\\) has 2 columns; .* 15"),
        (
            (HEADER, "26;91;-9;9x;-9;-9;-9;-9;-9;-9;-9;-9;-9;-9;I"),
            "row 1 .* has SA '9x'; expected a whole number, -9 where not filled",
        ),
        (
            (HEADER, "26;9_1;-9;93;-9;-9;-9;-9;-9;-9;-9;-9;-9;-9;I"),  # int("9_1") is 91
            "row 1 .* has CT '9_1'; expected a whole number",
        ),
        ((HEADER, ";91;-9;93;-9;-9;-9;-9;-9;-9;-9;-9;-9;-9;I"), "row 1 .* has no poly_id"),
    ],
)
def test_malformed_tables_name_scene_and_row(rows: tuple[str, ...], message: str) -> None:
    with pytest.raises(LabelError, match=message):
        parse_polygon_codes(rows, where=WHERE)


def test_padding_styles() -> None:
    egg_code = EggCode(5, 2, sa=98, fa=8, cf="08-9", poly_type="W")
    tail = ";-9;-9;-9;-9;-9;-9;-9;-9;08-9;W"

    written = {style: format_polygon_codes([egg_code], padding=style)[1] for style in PADDINGS}

    assert written == {
        "zero": f"5;02;-9;98;08{tail}",
        "bare": f"5;2;-9;98;8{tail}",
        "space": f"5; 2;-9;98; 8{tail}",
    }


PADDINGS: tuple[Padding, ...] = ("zero", "bare", "space")


@given(st.lists(egg_codes, max_size=4), st.sampled_from(PADDINGS))
def test_writing_then_reading_gives_the_same_codes(
    written: list[EggCode], padding: Padding
) -> None:
    rows = format_polygon_codes(written, padding=padding)

    assert parse_polygon_codes(rows, where=WHERE) == tuple(written)
