"""What a kind of inbox files is: which files, for which table, and how they are read, as units."""

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
        answers: the tables that hold what follows from a file, once they have been published.
        takes: which files these are, for the person whose file nobody takes.
        suffixes: how names of such files end, packed ones aside; the first is given to others.
    """

    name: str
    table: Table | None
    recognises: Callable[[InboxFile], bool]
    stage: Stage
    answers: Sequence[str] = ()
    takes: str = ""
    suffixes: Sequence[str] = ("",)

    @property
    def is_merged(self) -> bool:
        """Whether records are merged by the key of the table, and not added as whole files."""
        return self.table is not None and bool(self.table.primary_key.columns)


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
