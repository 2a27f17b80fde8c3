"""What a kind of delivery files is: which files, for which table, and how they are read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import duckdb
from sqlalchemy import Table

from warehouse_assets.lake import LakeTable, WrittenFile
from warehouse_assets.sources.inbox import DeliveryFile
from warehouse_assets.sources.units import Unit


class Stage(Protocol):
    """Reads units into the tables `STAGED` and `REJECTED` of the connection."""

    def __call__(
        self, connection: duckdb.DuckDBPyConnection, units: Sequence[Unit], spool: Path
    ) -> None:
        """Read `units`, in their order; `spool` is an empty folder for temporary files."""


@dataclass(frozen=True)
class StagedFiles:
    """Rows that were written beside the files of a table and are not part of it yet.

    `notes` are for the person, such as which columns of a file were ignored.
    """

    files: Sequence[WrittenFile] = ()
    notes: Sequence[str] = ()


class Write(Protocol):
    """Reads units into files of the table, and what cannot be used into the table `REJECTED`."""

    def __call__(
        self,
        connection: duckdb.DuckDBPyConnection,
        table: LakeTable,
        units: Sequence[Unit],
        spool: Path,
    ) -> StagedFiles:
        """Read `units`; `spool` is an empty folder for temporary files."""


@dataclass(frozen=True)
class FileKind:
    """Files that are taken in one way.

    Args:
        name: names their folder in the archive, and their source in `rejected_records`.
        table: where their records go; None if all of them are rejected.
        recognises: whether a file in the inbox is of this kind.
        stage: reads them, to be merged into the table by its key.
        write: reads them, to be added to the table as they are; instead of `stage`.
        answers: the tables that hold what follows from a file, once they have been published.
    """

    name: str
    table: Table | None
    recognises: Callable[[DeliveryFile], bool]
    stage: Stage | None = None
    write: Write | None = None
    answers: Sequence[str] = ()
