"""The points at which a run or the maintenance of the lake is killed, and how."""

import importlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from warehouse_assets.lake import LakeTable
from warehouse_assets.lake import commit as committing
from warehouse_assets.schema import REJECTED_RECORDS
from warehouse_assets.sources.delivery_files import _CatchUp
from warehouse_assets.sources.inbox import Inbox
from warehouse_assets.warehouse import Warehouse

BEFORE, AMID, AFTER = "before", "amid", "after"


def _module(name: str) -> Any:
    """A module; packages have functions of the names of some."""
    return importlib.import_module(f"warehouse_assets.{name}")


@dataclass(frozen=True)
class Point:
    """A place in the code: `moment` of a call of `owner.name`, of calls for which `counts`."""

    what: str
    owner: Any
    name: str
    moment: str
    counts: Callable[..., bool] | None = None

    def __str__(self) -> str:
        return f"{self.moment} {self.what}"


def _is_answer(connection: object, table: LakeTable, *rest: object, **options: object) -> bool:
    return table.name != REJECTED_RECORDS.name


def _each(what: str, owner: Any, name: str, *moments: str) -> list[Point]:
    return [Point(what, owner, name, moment) for moment in moments]


_reading = _module("forum.files")
_answers = _module("lake.write")
_merging = _module("lake.merge")
_step = _module("graph.step")
_computing = _module("graph.computation")
_changes = _module("warehouse.changes")
_publishing = _module("warehouse.publish")
_maintenance = _module("lake.maintenance")
_rearranging = _module("lake.rearrange")
_registering = _module("sources.delivery_files")
_trips = _module("trips.files")

OF_A_RUN = (
    *_each("creating a table", DeltaTable, "create", BEFORE, AMID, AFTER),
    *_each("reading files", _reading, "stage_json_records", BEFORE, AFTER),
    *_each("reading trips", _trips, "write_csv_records", BEFORE, AMID, AFTER),
    *_each("registering trips", _registering, "register", BEFORE, AMID, AFTER),
    *_each("adding up trips", _computing, "append", BEFORE, AFTER),
    *_each("committing rejected records", _CatchUp, "_commit_rejected", BEFORE, AFTER),
    *_each("committing rows", _CatchUp, "_commit_records", AFTER),
    *_each("moving a file", Inbox, "archive_file", BEFORE, AFTER),
    *_each("removing a duplicate", Inbox, "remove_duplicate", BEFORE, AFTER),
    *_each("writing Parquet", committing, "write_parquet", AMID, AFTER),
    *_each("committing Parquet", DeltaTable, "create_write_transaction", AMID, AFTER),
    *_each("merging rows", _merging, "delta_merge", BEFORE, AMID, AFTER),
    Point("filling an answer", _answers, "commit_files", BEFORE, _is_answer),
    *_each("changing an answer", _answers, "delta_merge", BEFORE, AMID, AFTER),
    *_each("publishing", _step, "publish", BEFORE, AFTER),
    *_each("netting changes", _changes, "_net_changes", AFTER),
    *_each("describing a new copy", _publishing, "_describe", AFTER),
    *_each("noting what is published", _publishing, "_write_note", BEFORE, AFTER),
)
OF_MAINTENANCE = (
    *_each("rearranging", _rearranging, "_commit", BEFORE, AMID, AFTER),
    *_each("keeping the log", _maintenance, "_keep_log", AFTER),
    *_each("vacuuming", DeltaTable, "vacuum", AMID, AFTER),
    *_each("making a checkpoint", DeltaTable, "create_checkpoint", AMID, AFTER),
    *_each("trimming the log", DeltaTable, "cleanup_metadata", AMID, AFTER),
    *_each("maintaining the warehouse", Warehouse, "maintain", BEFORE, AFTER),
)


def arm(points: Sequence[Point], lake: Path, note: Path) -> None:
    """Let this process die at the first of `points` that it comes to, and write there where."""
    for point in points:
        _arm(point, lake, note)


def _arm(point: Point, lake: Path, note: Path) -> None:
    method = getattr(point.owner, point.name)

    def dying(*arguments: Any, **options: Any) -> Any:
        if point.counts and not point.counts(*arguments, **options):
            return method(*arguments, **options)
        if point.moment == BEFORE:
            _die(point, note)
        if point.moment == AMID:
            _die_at_the_next_change_below(lake, point, note)
        result = method(*arguments, **options)
        _die(point, note)
        return result

    is_plain = not isinstance(point.owner, type) or not hasattr(method, "__self__")
    setattr(point.owner, point.name, dying if is_plain else staticmethod(dying))


def _die(point: Point, note: Path) -> None:
    note.write_text(str(point), encoding="utf-8")
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at_the_next_change_below(folder: Path, point: Point, note: Path) -> None:
    """Die as soon as a file comes or goes: one being written is then not whole."""
    note.write_text(str(point), encoding="utf-8")
    before = set(_files(folder))

    def watch() -> None:
        while set(_files(folder)) == before:
            pass
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _files(folder: Path) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        for name in names:
            yield f"{parent}/{name}"
