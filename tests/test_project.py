"""What the files beside the package promise."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import autoice_bench

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_citation_names_this_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [autoice_bench.__version__]
    assert "license: Apache-2.0" in citation


def test_readme_has_both_commands_on_one_line_each() -> None:
    commands = re.findall(r"^python3 -m venv .*$", README, re.MULTILINE)
    assert [command for command in commands if command.endswith("autoice-bench demo")]
    marked = README.partition("<!-- tests:")[2].partition("```sh\n")[2].partition("\n```")[0]
    assert marked in commands
    assert marked.endswith("-m pytest -n auto")


def test_readme_names_the_data_and_its_licence() -> None:
    assert "10.11583/DTU.c.6244065.v2" in README
    assert "CC-BY-4.0" in README
    assert "unrelated to `aiice-bench`" in " ".join(README.split())


def test_ci_script_is_executable_and_parses() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


def test_base_install_needs_no_torch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert not [name for name in project["dependencies"] if name.startswith("torch")]
    assert project["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_security_policy_is_found_and_names_what_is_tried() -> None:
    policy = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "(SECURITY.md)" in README
    assert "Report a vulnerability" in policy
    for link in re.findall(r"\]\(([^)#]+)\)", policy):
        assert (ROOT / link).exists(), link
