"""A folder with pristine copies that a seed damages and that are restored after it."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

OUT: Final = "out"
"""Where actions may write."""
OUTSIDE: Final = "outside"
"""A folder of the user's that no action may touch, and that hostile links lead to."""
MARKER: Final = "marker"
"""What hostile code makes when it runs."""
PRECIOUS: Final = b"precious " * 100

Snapshot = dict[str, tuple[int, ...]]


class Sandbox:
    """Pristine copies of some folders of the material, to damage one file at a time.

    Every change goes through ``write``, ``edit`` or ``remove``, which remember what to restore.
    """

    def __init__(self, root: Path, material: Path, folders: Mapping[str, str]) -> None:
        """Copy ``folders`` (name here to name in the material) into the new folder ``root``."""
        self.root = root
        self.material = material
        root.mkdir(parents=True)
        for name, source in folders.items():
            shutil.copytree(material / source, root / name, symlinks=True)
        (root / OUTSIDE).mkdir()
        (root / OUTSIDE / "precious").write_bytes(PRECIOUS)
        self.names = tuple(sorted(folders))
        self._pristine = {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }
        self._folders = [
            path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if path.is_dir()
        ]
        self._touched: set[str] = set()
        (root / OUT).mkdir()

    @property
    def marker(self) -> Path:
        return self.root / MARKER

    def files(self, below: str = "", suffix: str = "") -> list[str]:
        """Names of the pristine files below a folder, sorted."""
        inside = [name for name in self._pristine if not name.startswith(f"{OUTSIDE}/")]
        return [name for name in inside if name.startswith(below) and name.endswith(suffix)]

    def pristine(self, name: str) -> bytes:
        return self._pristine[name]

    def edit(self, name: str) -> Path:
        """A file or folder that is about to be changed."""
        self._touched.add(name)
        return self.root / name

    def write(self, name: str, content: bytes) -> None:
        """Give a file other content; folders are made as needed."""
        path = self.edit(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def remove(self, name: str) -> Path:
        """Remove whatever is there; return the free path."""
        path = self.edit(name)
        _remove(path)
        return path

    def restore(self) -> None:
        """Undo every change and empty the output folder."""
        for name in self._touched:
            _remove(self.root / name)
        for folder in self._folders:
            if any(_is_at_or_below(folder, name) for name in self._touched):
                (self.root / folder).mkdir(parents=True, exist_ok=True)
        for name, content in self._pristine.items():
            if any(_is_at_or_below(name, touched) for touched in self._touched):
                (self.root / name).write_bytes(content)
        self._touched.clear()
        self.clear_out()
        _remove(self.marker)

    def clear_out(self) -> None:
        _remove(self.root / OUT)
        (self.root / OUT).mkdir()

    def snapshot(self) -> Snapshot:
        """What is there, the output folder left out: mode, size, time and inode by name.

        Files named ``lock`` are left out: holding a lock is no change.
        """
        found = {}
        for entry, name in _walk(self.root, ""):
            if entry.name != "lock":
                status = entry.stat(follow_symlinks=False)
                is_folder = stat.S_ISDIR(status.st_mode)
                details = () if is_folder else (status.st_size, status.st_mtime_ns, status.st_ino)
                found[name] = (status.st_mode, *details)
        return found


def _walk(folder: Path, prefix: str) -> Iterator[tuple[os.DirEntry[str], str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = prefix + entry.name
            if name == OUT:
                continue
            yield entry, name
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), name + "/")


def _is_at_or_below(name: str, folder: str) -> bool:
    return name == folder or name.startswith(folder + "/")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
