"""The fuzzers find what they are there to find: one planted fault for every kind of finding."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from autoice_bench.errors import StoreError
from tests.hostile.fuzzing import children, judge, targets
from tests.hostile.fuzzing.byte_damage import damage_bytes
from tests.hostile.fuzzing.cases import Action, Damage, Finding, Rng, Target, refused
from tests.hostile.fuzzing.document_damage import dump_document, edit_document
from tests.hostile.fuzzing.judge import Judge
from tests.hostile.fuzzing.sandbox import OUT, OUTSIDE, Sandbox

PRISTINE = b'{"a": [1, 2, {"b": null}], "c": "text"}'


@pytest.fixture
def material(tmp_path: Path) -> Path:
    (tmp_path / "material/data/deep").mkdir(parents=True)
    (tmp_path / "material/data/deep/file").write_bytes(PRISTINE)
    return tmp_path / "material"


def make_target(
    read: Callable[[Sandbox], object], damage: Damage | None = None, name: str = "planted"
) -> Target:
    """A target whose only file is emptied and whose reader is ``read``, once it is."""

    def spoil(_: Rng, sandbox: Sandbox) -> Damage:
        sandbox.write("data/deep/file", b"")
        return damage or Damage("emptied")

    def call(sandbox: Sandbox) -> object:
        return read(sandbox) if is_damaged(sandbox) else "pristine"

    return Target(name, {"data": "data"}, spoil, (Action("read", call=call),))


def is_damaged(sandbox: Sandbox) -> bool:
    return (sandbox.root / "data/deep/file").read_bytes() != PRISTINE


def find(target: Target, material: Path, tmp_path: Path) -> list[Finding]:
    sandbox = Sandbox(tmp_path / "sandbox", material, target.folders)
    found = Judge(target, sandbox, lambda _: None).judge(0)
    assert not is_damaged(sandbox)
    assert not any((sandbox.root / OUT).iterdir())
    assert not sandbox.marker.exists()
    return found


def refuse(_: Sandbox) -> object:
    raise StoreError("empty")


def refuse_at_length(_: Sandbox) -> object:
    raise StoreError("empty\nand more")


def forge(_: Sandbox) -> object:
    raise StoreError("the name is \x1b[31mred")


def write_outside(sandbox: Sandbox) -> object:
    (sandbox.root / OUTSIDE / "more").write_text("more")
    raise StoreError("empty")


def change_the_input(sandbox: Sandbox) -> object:
    (sandbox.root / "data/deep/file").write_text("more")
    raise StoreError("empty")


def run_code(sandbox: Sandbox) -> object:
    sandbox.marker.mkdir()
    raise StoreError("empty")


def raise_another(_: Sandbox) -> object:
    raise KeyError("x")


def wait(_: Sandbox) -> object:
    time.sleep(60)
    return None


@pytest.mark.parametrize(
    ("read", "kind"),
    [
        (refuse_at_length, "message"),
        (forge, "message"),
        (run_code, "code"),
        (raise_another, "traceback"),
        (wait, "hang"),
    ],
)
def test_faults(
    read: Callable[[Sandbox], object],
    kind: str,
    material: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judge, "HANG_S", 0.2)
    (finding,) = find(make_target(read), material, tmp_path)
    assert (finding.kind, finding.target, finding.seed) == (kind, "planted", 0)


@pytest.mark.parametrize("read", [write_outside, change_the_input])
def test_writing_elsewhere(
    read: Callable[[Sandbox], object], material: Path, tmp_path: Path
) -> None:
    assert [found.kind for found in find(make_target(read), material, tmp_path)] == ["wrote"]


@pytest.mark.parametrize(
    ("damage", "answer", "kinds"),
    [
        (Damage("x"), "another", []),
        (refused("x"), "another", ["accepted"]),
        (refused("x", "somebody else"), "pristine", []),
        (refused("x", "somebody else"), "another", ["wrong answer"]),
        (Damage("x", same=True), "pristine", []),
        (Damage("x", same=True), "another", ["wrong answer"]),
        (Damage("x", harmless=True), "another", ["wrong answer"]),
        (Damage("x", harmless=True), None, ["refused"]),
        (refused("x"), None, []),
    ],
)
def test_verdicts(
    damage: Damage, answer: str | None, kinds: list[str], material: Path, tmp_path: Path
) -> None:
    def read(sandbox: Sandbox) -> object:
        return refuse(sandbox) if answer is None else answer

    found = find(make_target(read, damage), material, tmp_path)
    assert [each.kind for each in found] == kinds


def test_commands_are_run(material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    actions = (Action("info", ("info", "nowhere"), done=1),)
    target = Target("planted", {"data": "data"}, lambda _, __: Damage("none"), actions)
    sandbox = Sandbox(tmp_path / "sandbox", material, target.folders)
    with pytest.raises(AssertionError, match="nothing"):  # the pristine input must be accepted
        Judge(target, sandbox, lambda _: None).judge(0)


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory as Linux does")
def test_a_process_that_dies_is_named_and_the_rest_is_tried(
    material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(sandbox: Sandbox) -> object:
        os.kill(os.getpid(), signal.SIGSEGV)
        return refuse(sandbox)

    monkeypatch.setitem(targets.TARGETS, "planted", make_target(die))
    found = list(children.run_seeds("planted", range(3), material, tmp_path, jobs=2))
    assert sorted(finding.seed for finding in found) == [0, 1, 2]
    assert {(finding.kind, finding.words) for finding in found} == {("crash", "read: emptied")}
    assert all("SIGSEGV" in finding.signature for finding in found)
    assert [path.name for path in tmp_path.iterdir()] == ["material"]


def test_memory_is_bounded(material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def take(_: Sandbox) -> object:
        return bytearray(children._MEMORY * 2)

    monkeypatch.setitem(targets.TARGETS, "planted", make_target(take))
    (finding,) = children.run_seeds("planted", [5], material, tmp_path, jobs=1)
    assert (finding.kind, finding.seed) == ("traceback", 5)
    assert "MemoryError" in finding.signature


def test_a_seed_makes_the_same_input_whatever_ran_before() -> None:
    def make(seed: int) -> tuple[bytes, bytes]:
        rng = np.random.default_rng(seed)
        document = edit_document(rng, {"a": [1, 2], "b": {"c": "x"}}).document
        return damage_bytes(rng, PRISTINE)[0], dump_document(document)

    first = [make(seed) for seed in range(50)]
    assert [make(seed) for seed in reversed(range(50))] == first[::-1]
    assert len(set(first)) > 40
    assert all(content != PRISTINE for content, _ in first)
