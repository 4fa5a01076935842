"""Nothing is written or removed through a link inside our folders."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from autoice_bench.formats.locks import hold_lock
from autoice_bench.formats.own_folders import LinkError, make_own_folder, open_own, require_own
from autoice_bench.formats.plain_files import NotAFileError
from autoice_bench.formats.whole_files import whole_file, whole_folder, write_whole


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_text("precious")
    return path


def test_a_file_is_opened_and_a_link_is_not(tmp_path: Path, victim: Path) -> None:
    os.close(open_own(tmp_path / "new", os.O_WRONLY))
    assert (tmp_path / "new").read_bytes() == b""
    for target in ("victim", "nothing"):
        link = tmp_path / f"to-{target}"
        link.symlink_to(tmp_path / target)
        with pytest.raises(LinkError, match=f": to-{target} is a link, through which nothing"):
            open_own(link, os.O_RDWR)
        with pytest.raises(LinkError), hold_lock(link):
            pass
    assert victim.read_text() == "precious"
    assert not (tmp_path / "nothing").exists()


@pytest.mark.timeout(20)
def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lock")
    with pytest.raises(NotAFileError), hold_lock(tmp_path / "lock"):
        pass


def test_a_link_that_comes_at_the_last_moment_is_not_followed(
    tmp_path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "link"
    link.symlink_to(victim)
    monkeypatch.setattr(Path, "is_symlink", lambda _: False)
    with pytest.raises(LinkError):
        open_own(link, os.O_RDWR | os.O_TRUNC)
    assert victim.read_text() == "precious"


def test_folders(tmp_path: Path) -> None:
    make_own_folder(tmp_path / "a/b")
    make_own_folder(tmp_path / "a/b")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(LinkError, match="link is a link"):
        make_own_folder(tmp_path / "link")
    # The folder that the user names may be reached through links.
    require_own(tmp_path / "link/b", tmp_path / "nothing")


def test_errors_come_back_from_other_processes(tmp_path: Path) -> None:
    again = pickle.loads(pickle.dumps(LinkError(tmp_path / "x")))
    assert isinstance(again, OSError)
    assert again.strerror == LinkError(tmp_path / "x").strerror


def test_whole_files_replace_a_link_and_leave_its_target(tmp_path: Path, victim: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(victim)
    write_whole(link, b"new")
    assert not link.is_symlink()
    link.unlink()
    link.symlink_to(victim)
    with whole_file(link) as partial:
        partial.write_text("new")
    assert link.read_text() == "new"
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("replace", [True, False])
def test_whole_folders_do_not_take_the_place_of_a_link(tmp_path: Path, replace: bool) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").write_text("precious")
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "preds").symlink_to(tmp_path / "disk")
    with pytest.raises(LinkError), whole_folder(tmp_path / "link", replace=replace):
        pass
    assert (tmp_path / "elsewhere/file").read_text() == "precious"
    with whole_folder(tmp_path / "preds/new", replace=replace) as partial:
        (partial / "file").write_text("new")
    assert (tmp_path / "disk/new/file").read_text() == "new"


def test_leftovers_that_are_links_are_left(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").write_text("precious")
    for suffix in ("old", "partial"):
        (tmp_path / f".x.1.{suffix}").symlink_to(tmp_path / "elsewhere")
    with whole_folder(tmp_path / "x") as partial:
        (partial / "file").write_text("new")
    assert (tmp_path / "elsewhere/file").read_text() == "precious"
    assert (tmp_path / "x/file").read_text() == "new"
