"""What a kind of inbox files is: which files, for which table, and how they are read, as units."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import duckdb
from sqlalchemy import Table

from warehouse_assets.ingest.inbox import InboxFile, Waiting, unit_name
from warehouse_assets.ingest.plain_text import UNPACKED_LIMIT
from warehouse_assets.ingest.staging import REJECTED
from warehouse_assets.lake import LakeTable, WrittenFile

_MOST_FILES_NAMED = 10
_CHARACTERS_OF_A_UNIT = 1000
_ENDINGS = re.compile(r"(\.(csv|tsv|txt|json|jsonl|ndjson|gz))+\Z", re.IGNORECASE)
_LONGEST_STEM = 60


@dataclass(frozen=True)
class Unit:
    """An inbox file with its arrival number and the hash of its content.

    `unpacked_limit` is the most bytes that it may be when it is unpacked.
    """

    file: InboxFile
    arrival: int
    digest: str
    unpacked_limit: int = UNPACKED_LIMIT

    @property
    def name(self) -> str:
        """The name of the unit in `rejected_records` and of the file in the archive."""
        return unit_name(self.arrival, self.file.name)


class Stage(Protocol):
    """Reads units: what cannot be used into the table `REJECTED` of the connection."""

    def __call__(
        self,
        connection: duckdb.DuckDBPyConnection,
        table: LakeTable | None,
        units: Sequence[Unit],
        spool: Path,
    ) -> Sequence[WrittenFile]:
        """Read `units`, in their order; `spool` is an empty folder for temporary files.

        Records for a table with a key go into the table `STAGED`, others into files beside those
        of the table, which are returned and are not part of it yet.
        """


@dataclass(frozen=True)
class FileKind:
    """Files that are taken in one way.

    Args:
        name: names their folder in the archive, and their source in `rejected_records`.
        table: where their records go; None if all of them are rejected.
        recognises: whether a file in the inbox is of this kind.
        stage: reads them.
        takes: which files these are, for the person whose file nobody takes.
    """

    name: str
    table: Table | None
    recognises: Callable[[InboxFile], bool]
    stage: Stage
    takes: str = ""

    @property
    def is_merged(self) -> bool:
        """Whether records are merged by the key of the table, and not added as whole files."""
        return self.table is not None and bool(self.table.primary_key.columns)


@dataclass(frozen=True)
class FileFormat:
    """How files of a format are known, packed ones aside.

    Args:
        suffixes: how their names end; the first is given to those that end otherwise.
        media_types: their types in HTTP.
    """

    suffixes: Sequence[str]
    media_types: Sequence[str]


FORMATS = {
    "csv": FileFormat((".csv",), ("text/csv", "application/csv")),
    "json": FileFormat(
        (".json", ".jsonl", ".ndjson"),
        ("application/json", "application/x-ndjson", "application/jsonl"),
    ),
}


def format_of(table: Table) -> FileFormat:
    """The format of the files that `table` is loaded from: its `info["files"]`, or CSV."""
    return FORMATS[table.info.get("files", "csv")]


def name_in_inbox(table: Table, called: str, ingestion_id: str) -> str:
    """The name in the inbox of a file for `table` that its sender calls `called`, any text.

    It tells what the file is, holds the id of its ingestion, and has nothing that could surprise
    anybody.
    """
    base, suffixes = re.split(r"[/\\]", called)[-1], format_of(table).suffixes
    packed = ".gz" if base.lower().endswith(".gz") else ""
    suffix = next(filter(base.lower().removesuffix(".gz").endswith, suffixes), suffixes[0])
    plain = unicodedata.normalize("NFKD", _ENDINGS.sub("", base)).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^A-Za-z0-9_]+", "-", plain)
    stem = re.sub(rf"\A{table.name}[-_]?", "", stem, flags=re.IGNORECASE)[:_LONGEST_STEM]
    return f"{table.name}-{stem.strip('-_') or 'upload'}-{ingestion_id}{suffix}{packed}"


def reject_unit(
    connection: duckdb.DuckDBPyConnection, unit: Unit, reason: str, value: str | None = None
) -> None:
    """Reject a whole unit; the beginning of its content is kept as its raw text.

    Args:
        value: what was seen that shows the reason.
    """
    with unit.file.path.open("rb") as stream:
        raw = stream.read(_CHARACTERS_OF_A_UNIT).decode("utf-8", errors="replace")
    connection.execute(
        f"INSERT INTO {REJECTED} VALUES (?, 0, ?, ?, ?)",
        [unit.arrival, reason, value, raw.replace("\0", "\N{REPLACEMENT CHARACTER}")],
    )


def left_behind(waiting: Waiting, kinds: Sequence[FileKind]) -> dict[str, str]:
    """Which files stay in the inbox because they are none or of none of `kinds`, and why, by name.

    Files that are still being written are not among them.
    """
    takes = "; ".join(kind.takes for kind in kinds if kind.takes)
    reason = f"nobody takes it. What is taken: {takes}"
    strange = [f for f in waiting.complete if not any(kind.recognises(f) for kind in kinds)]
    return {**waiting.refused, **{file.name: reason for file in strange}}


def left_in_words(left: Mapping[str, str]) -> list[str]:
    """A sentence for each of the first files that stay in the inbox, and one for the others."""
    shown = [
        f"{name} stays in the inbox: {reason}."
        for name, reason in islice(left.items(), _MOST_FILES_NAMED)
    ]
    more = len(left) - len(shown)
    return [*shown, f"{more:,} more files stay in the inbox."] if more else shown
