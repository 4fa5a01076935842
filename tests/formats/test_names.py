"""Names are names: what could be a path, or is none on some system, is refused."""

from __future__ import annotations

import pytest

from autoice_bench.errors import BaselineError
from autoice_bench.formats.names import require_safe_name


@pytest.mark.parametrize("name", ["a", "aspp-rates-12-24-36_seed0", "v1.2+x", "a" * 100])
def test_names(name: str) -> None:
    assert require_safe_name(name, BaselineError) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "/x",
        "a/b",
        "a\\b",
        "a b",
        "a\n",
        "é",
        "-x",
        "a.",
        "nul.txt",
        "a" * 101,
    ],
)
def test_what_is_no_name_is_one_line_that_says_what_to_do(name: str) -> None:
    with pytest.raises(BaselineError, match=r"^run name '.*expected 1-100 letters.*\(do so\)") as e:
        require_safe_name(name, BaselineError, what="run name", advice="do so")
    assert "\n" not in str(e.value)
