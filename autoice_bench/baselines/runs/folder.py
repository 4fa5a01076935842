"""A run's folder: what was trained, with what, how far it is and how it went.

::

    runs/<name>/
      config.json        the resolved recipe
      environment.json   packages, Python, GPU, driver, git revision of the last start
      run.json           state, seed, split, store, scores, times
      metrics.parquet    one row per epoch
      log.txt            the console
      checkpoints/

Every file is replaced in one step, so that a reader or a crash sees the old or the new one; the log
only grows. JSON and metrics carry a digest of themselves, and the record of a run that is not going
on has those of its networks: what is read again is known to be as it was written. A name stands for
its settings: the same command finds its run again and goes on.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, Self, get_args

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from autoice_bench.baselines.recipes.recipe import Recipe
from autoice_bench.baselines.settings.values import format_value
from autoice_bench.datasets.store.root import Store
from autoice_bench.errors import BaselineError
from autoice_bench.formats.decoding import decoding
from autoice_bench.formats.document_schema import (
    CHECKSUM,
    COUNT,
    SHA256,
    Entries,
    Fields,
    Flag,
    Items,
    Kind,
    Nullable,
    Number,
    OneOf,
    Seed,
    Text,
    Whole,
    digest_json,
    require_document,
    take_checksum,
)
from autoice_bench.formats.locks import LockedError, hold_lock
from autoice_bench.formats.own_folders import make_own_folder, open_own
from autoice_bench.formats.parquet_files import read_parquet
from autoice_bench.formats.plain_files import (
    hash_file,
    is_there,
    read_bytes,
    read_json,
)
from autoice_bench.formats.split_file import Split
from autoice_bench.formats.whole_files import is_partial, remove_leftovers, write_whole
from autoice_bench.wording import make_visible

RunState = Literal["new", "running", "interrupted", "failed", "finished"]

RUN_FORMAT: Final = 1
RUN_FILE: Final = "run.json"
CONFIG_FILE: Final = "config.json"
ENVIRONMENT_FILE: Final = "environment.json"
METRICS_FILE: Final = "metrics.parquet"
LOG_FILE: Final = "log.txt"
CHECKPOINTS: Final = "checkpoints"
_LOCK_FILE: Final = "lock"
_IDENTITY: Final = ("seed", "split_hash", "store_fingerprint")
_ROWS_DIGEST: Final = b"rows_sha256"
_MOST_EPOCHS: Final = 1_000_000

_NUMBER_OR_NULL: Final = Nullable(Number())
_SCORES: Final = Entries(Entries(_NUMBER_OR_NULL))
_RECORD: Final = Fields(
    {
        "format": Whole(),
        "state": OneOf(get_args(RunState)),
        "recipe": Text(),
        "seed": Seed(),
        "split_hash": Text(),
        "store_fingerprint": Nullable(Text()),
    },
    {
        **dict.fromkeys(("recipe_fingerprint", "split", "split_spec", "store"), Text()),
        **dict.fromkeys(("dtype", "grid_anchor", "created", "updated", "start_weights"), Text()),
        **dict.fromkeys(("train_scenes", "val_scenes", "skipped_scenes"), Items(Text())),
        **dict.fromkeys(("epochs", "n_channels", "peak_memory_bytes"), COUNT),
        **dict.fromkeys(("best_loss_epoch", "best_combined_epoch"), Nullable(COUNT)),
        **dict.fromkeys(("best_loss", "best_combined", "patches_per_second"), _NUMBER_OR_NULL),
        "tflop_per_second": _NUMBER_OR_NULL,
        "training_seconds": Number(),
        "simulated": Flag(),
        "truth_fingerprints": Entries(Nullable(Text())),
        "error": Nullable(Text()),
        "outcome": OneOf(("finished", "stopped-early", "interrupted")),
        "tested": OneOf(("last", "best-loss", "best-combined")),
        "scores": _SCORES,
        "study_scores": _SCORES,
        "files": Entries(SHA256),
    },
)
"""``run.json``; what is optional is written in the course of a run, or came with later versions."""

_OBJECT: Final = Fields({})
_ENVIRONMENT: Final = Fields(
    {},
    {
        **dict.fromkeys(("git", "processor"), Nullable(Text())),
        "gpus": Items(Text()),
        "earlier": Items(_OBJECT),
    },
)


@dataclass(frozen=True)
class RunFolder:
    """One run on disk; see the module's text for its files.

    Attributes:
        path: its folder.
    """

    path: Path

    @classmethod
    def create(cls, path: Path, recipe: Recipe, *, seed: int, split: Split, store: Store) -> Self:
        """The folder of a run: a new one, or the one that is there if it is of the same settings.

        Fields of the machine may differ from those of an earlier start; the new ones count.

        Args:
            path: the folder; its name is the run's.
            recipe: the resolved recipe.
            seed: seed of the run.
            split: training and validation scenes as they are used.
            store: where they are read.

        Raises:
            BaselineError: the folder holds a run of other settings, or something else, cannot be
                written, or another process is working on the run.
        """
        run = cls(path)
        run.require_same(recipe, seed=seed, split=split, store=store)
        record = {
            "format": RUN_FORMAT,
            "state": "new",
            "recipe": recipe.name,
            "recipe_fingerprint": recipe.fingerprint(),
            **_identify(seed, split, store),
            "split": split.name,
            "train_scenes": list(split.train),
            "val_scenes": list(split.val),
            "store": str(store.path),
            "simulated": store.options.simulated,
            "dtype": store.options.dtype,
            "grid_anchor": store.grid_anchor,
            "created": _now(),
        }
        with run._explained():
            make_own_folder(run.checkpoints)
            remove_leftovers(path.parent)  # of a run whose removal was killed
        # Another process may be working on the run: its recipe is not written over.
        with run.lock():
            run._write_json(CONFIG_FILE, recipe.to_dict())
            if not run.exists:
                run._write_json(RUN_FILE, record)
        return run

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open a run.

        Raises:
            BaselineError: there is none, or it is of another format.
        """
        run = cls(Path(path))
        found = run.read()["format"]
        if found != RUN_FORMAT:
            raise BaselineError(f"run {path}: format {found}; expected {RUN_FORMAT}")
        return run

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def exists(self) -> bool:
        """Whether there is a run in the folder."""
        return (self.path / RUN_FILE).is_file()

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / CHECKPOINTS

    @property
    def recipe(self) -> Recipe:
        """The resolved recipe of the last start."""
        return Recipe.from_dict(
            self._read_json(CONFIG_FILE, _OBJECT), str(self.path / CONFIG_FILE), is_record=True
        )

    def require_same(self, recipe: Recipe, *, seed: int, split: Split, store: Store) -> None:
        """Check that ``create`` would find its own run here, or none.

        Raises:
            BaselineError: the folder holds a run of other settings, or something else.
        """
        if not self.exists:
            if self.path.exists() and not (self.path.is_dir() and self._is_unfinished()):
                raise BaselineError(
                    f"run {self.path}: something else is there; choose another --name"
                )
            return
        record = self.read()
        there = self.recipe.science() | {name: record[name] for name in _IDENTITY}
        here = recipe.science() | _identify(seed, split, store)
        for name in sorted(there.keys() | here.keys()):
            if there.get(name) != here.get(name):
                raise BaselineError(
                    f"run {self.path}: was begun with {name} {_shorten(there.get(name))}, now it "
                    f"is {_shorten(here.get(name))}; choose another --name, or start anew with "
                    "--overwrite"
                )

    def _is_unfinished(self) -> bool:
        """Whether the folder holds no more than a ``create`` that was killed leaves."""
        names = {path.name for path in self.path.iterdir() if not is_partial(path)}
        return names <= {CHECKPOINTS, CONFIG_FILE, _LOCK_FILE}

    def read_state(self) -> RunState:
        """Where the run is; ``interrupted`` also for one that was killed while running."""
        state: RunState = self.read()["state"]
        return "interrupted" if state == "running" and not self._is_locked() else state

    def read(self) -> dict[str, Any]:
        """The content of ``run.json``.

        Raises:
            BaselineError: it is missing or damaged.
        """
        return self._read_json(RUN_FILE, _RECORD)

    def update(self, **values: Any) -> None:
        """Set entries of ``run.json``: ``state``, ``best_epoch``, scores, times and so on.

        Numbers that are not finite become null.
        """
        self._write_json(RUN_FILE, {**self.read(), **_finite(values), "updated": _now()})

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """Record what this start computes with; one that differed before is kept as ``earlier``."""
        now = dict(environment)
        earlier: list[Any] = []
        if (self.path / ENVIRONMENT_FILE).is_file():
            before = self.read_environment()
            earlier = before.pop("earlier", [])
            if before != now:
                earlier.append(before)
        self._write_json(ENVIRONMENT_FILE, {**now, **({"earlier": earlier} if earlier else {})})

    def read_environment(self) -> dict[str, Any]:
        """The content of ``environment.json``.

        Raises:
            BaselineError: it is missing or damaged.
        """
        return self._read_json(ENVIRONMENT_FILE, _ENVIRONMENT)

    def record_files(self) -> None:
        """Record the digests of the networks in the folder, which do not change from now on."""
        paths = [*sorted(self.checkpoints.glob("[!.]*.pt")), *self.path.glob("*.safetensors")]
        try:
            digests = {path.relative_to(self.path).as_posix(): hash_file(path) for path in paths}
        except OSError as error:
            raise BaselineError(f"run {self.path}: {error}") from None
        self.update(files=digests)

    def forget_files(self) -> None:
        """Take back ``record_files`` before the networks change."""
        self.update(files={})

    def require_recorded(self, path: Path) -> Path:
        """Return the path of a network, if the file is still the one that was recorded.

        One that has no digest in the record passes: older versions recorded none, and there is
        none while a run is going on.

        Raises:
            BaselineError: it is another.
        """
        recorded = self.read().get("files", {}).get(path.relative_to(self.path).as_posix())
        try:
            is_same = recorded is None or not path.is_file() or hash_file(path) == recorded
        except OSError as error:
            raise BaselineError(f"checkpoint {path}: cannot be read ({error.strerror})") from None
        if not is_same:
            raise BaselineError(
                f"checkpoint {path}: does not match its SHA-256 in {RUN_FILE}: it was damaged or "
                "replaced; copy the run again, or train it anew with --overwrite"
            )
        return path

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Add the row of an epoch; rows of it and of later epochs, from before a resume, go.

        Args:
            row: numbers by name, ``epoch`` among them.
        """
        rows = [old for old in self._read_rows() if old["epoch"] < row["epoch"]]
        rows.append(dict(row))
        names = list(dict.fromkeys(name for each in rows for name in each))
        columns = {name: [each.get(name) for each in rows] for name in names}
        table = pa.table(columns)
        metadata = {_ROWS_DIGEST: digest_json(table.to_pylist()).encode()}
        buffer = io.BytesIO()
        pq.write_table(table.replace_schema_metadata(metadata), buffer)
        with self._explained():
            write_whole(self.path / METRICS_FILE, buffer.getvalue())

    def read_metrics(self) -> pd.DataFrame:
        """One row per epoch done; empty before the first."""
        return pd.DataFrame(self._read_rows())

    def log(self, line: str) -> None:
        """Add a line with the time to ``log.txt``."""
        with self._explained():
            descriptor = open_own(self.path / LOG_FILE, os.O_WRONLY | os.O_APPEND)
            with os.fdopen(descriptor, "a", encoding="utf-8") as file:
                file.write(f"{_now()} {line}\n")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for the time of a ``with`` block; the kernel frees it with the process.

        Raises:
            BaselineError: another process holds it, or the folder cannot be written.
        """
        with ExitStack() as stack:
            try:
                with self._explained():
                    stack.enter_context(hold_lock(self.path / _LOCK_FILE))
            except LockedError as error:
                holder = f" ({error.holder})" if error.holder else ""
                raise BaselineError(
                    f"run {self.path}: another process{holder} is working on it; wait for it or "
                    "stop it"
                ) from None
            yield

    def _is_locked(self) -> bool:
        if not os.access(self.path, os.W_OK):
            return False
        try:
            with self.lock():
                return False
        except BaselineError:
            return True

    def _read_rows(self) -> list[dict[str, Any]]:
        path = self.path / METRICS_FILE
        if not is_there(path):
            return []
        with decoding(BaselineError, f"run {self.path}: {METRICS_FILE}"):
            table = read_parquet(read_bytes(path), most_rows=_MOST_EPOCHS)
            rows: list[dict[str, Any]] = table.to_pylist()
            recorded = (table.schema.metadata or {}).get(_ROWS_DIGEST)
            if recorded is not None and recorded.decode() != digest_json(rows):
                raise ValueError("it does not match its own digest")
            _require_metrics(rows)
        return rows

    def _read_json(self, name: str, schema: Kind) -> dict[str, Any]:
        try:
            content = read_json(self.path / name)
        except (FileNotFoundError, NotADirectoryError):
            raise BaselineError(
                f"run {self.path}: has no {name}; `autoice-bench baseline list` shows the runs"
            ) from None
        except (OSError, ValueError) as error:
            raise BaselineError(f"run {self.path}: {name} cannot be read ({error})") from None
        where = f"run {self.path}: {name}"
        if not take_checksum(content):
            raise BaselineError(
                f"{where} does not match its checksum: it was damaged or edited (without the field "
                f"{CHECKSUM} it counts as it is)"
            )
        document: dict[str, Any] = require_document(
            content, schema, BaselineError, where, "copy the run again, or remove its folder"
        )
        return document

    def _write_json(self, name: str, content: Mapping[str, Any]) -> None:
        # As it will be read: keys become texts, which may sort otherwise.
        plain = json.loads(json.dumps(content, allow_nan=False))
        whole = {**plain, CHECKSUM: digest_json(plain)}
        text = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
        with self._explained():
            write_whole(self.path / name, text.encode())

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn a failed write (a full disk, a folder that may only be read) into one line."""
        try:
            yield
        except OSError as error:
            raise BaselineError(
                f"run {self.path}: cannot be written ({error.strerror or error})"
            ) from error


def _identify(seed: int, split: Split, store: Store) -> dict[str, Any]:
    return {
        "seed": seed,
        "split_hash": split.hash,
        "store_fingerprint": store.fingerprint,
    }


def _require_metrics(rows: Sequence[Mapping[str, Any]]) -> None:
    """Check that a table is one of epochs.

    Raises:
        ValueError: it has no epochs, or something else than numbers.
    """
    for row in rows:
        if type(row.get("epoch")) is not int:
            raise ValueError(f"epoch is {row.get('epoch')!r}; expected a whole number")
        for name, value in row.items():
            if value is not None and type(value) not in (int, float):
                raise ValueError(f"{make_visible(name)} is no number")


def find_runs(root: Path) -> list[RunFolder]:
    """The runs in a folder, by name; none where there is no such folder."""
    return [RunFolder(path.parent) for path in sorted(root.glob(f"[!.]*/{RUN_FILE}"))]


def _shorten(value: object) -> str:
    text = format_value(value) or "empty"
    return f"{text[:12]}..." if re.fullmatch(r"[0-9a-f]{64}", text) else text


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
