"""Fenced blocks of Markdown pages, and how to run them as a reader who pastes them would.

Comments just above a block say what differs in a test:

``<!-- not run: REASON -->`` leaves it out; ``<!-- run with: OLD -> NEW -->``, or with a reason,
``<!-- run with, REASON: OLD -> NEW -->``, replaces text in it; ``<!-- run before: COMMAND -->``
runs a command of the shell first.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(
    r"^(?P<comments>(?:<!-- .* -->\n)*)```(?P<language>\S*)\n(?P<text>(?:.*\n)*?)```$", re.MULTILINE
)
_DIRECTIVE = re.compile(r"<!-- (not run|run with|run before)(?:, [^:]*)?: (.*) -->")
_FILE_NAME = re.compile(r"# (\w+\.(?:py|toml))\n")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        where: page and line of its fence.
        language: after the fence; empty where none is named.
        text: as a test runs it.
        is_run: whether a test runs it.
        before: commands to run first.
    """

    where: str
    language: str
    text: str
    is_run: bool
    before: tuple[str, ...]

    @property
    def file_name(self) -> str | None:
        """The file that a block is to be saved as: its first line is a comment that names it."""
        found = _FILE_NAME.match(self.text)
        return None if found is None else found[1]


def read_blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    content = page.read_text(encoding="utf-8")
    return [_read_block(page, content, found) for found in _FENCE.finditer(content)]


def _read_block(page: Path, content: str, found: re.Match[str]) -> Block:
    line = content.count("\n", 0, found.start("text"))
    directives = _DIRECTIVE.findall(found["comments"])
    text = found["text"]
    for old, new in (value.split(" -> ") for kind, value in directives if kind == "run with"):
        assert old in text, f"{page.name}, line {line}: no {old!r} to replace"
        text = text.replace(old, new)
    return Block(
        where=f"{page.relative_to(ROOT)}, line {line}",
        language=found["language"],
        text=text,
        is_run=all(kind != "not run" for kind, _ in directives),
        before=tuple(value for kind, value in directives if kind == "run before"),
    )


class Reader:
    """Somebody who pastes the blocks of a page into a shell and into Python, in one folder."""

    def __init__(self, folder: Path) -> None:
        programs = folder / ".bin"
        programs.mkdir()
        for name, arguments in (("autoice-bench", "-m autoice_bench"), ("python", "")):
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n')
            program.chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if "AUTOICE" not in name}
        self._environment = {
            **kept,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "100",
        }
        self._folder = folder
        self._names: dict[str, Any] = {"__name__": "__main__"}

    def follow(self, block: Block) -> None:
        """Run a block, or save it as the file that it is."""
        if not block.is_run:
            return
        for command in block.before:
            self._run_shell(command, block.where)
        if block.file_name is not None:
            (self._folder / block.file_name).write_text(block.text, encoding="utf-8")
        elif block.language == "sh":
            self._run_shell(block.text, block.where)
        elif block.language == "python":
            exec(compile(block.text, block.where, "exec"), self._names)
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "json":
            json.loads(block.text)

    def _run_shell(self, script: str, where: str) -> None:
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{where}:\n{script}\n{done.stdout}\n{done.stderr}"
