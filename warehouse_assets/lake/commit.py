"""One commit to a table of the lake: what every write mode ends with.

A commit is the next version or none: if another writer committed since the handle was opened it
is refused with `ConflictError`, and the caller begins again from a fresh handle. It carries the
given transactions, by which the table remembers which loads it holds. The caller holds the
table's lock and passes the handle that it read the transactions from.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import RemoveAction

from warehouse_assets.crash_points import crash_point
from warehouse_assets.errors import ConflictError, LakeError, is_disk_full
from warehouse_assets.lake.files import Rows, WrittenFile, WrittenRows, discard, keep_hashes
from warehouse_assets.lake.storage import store_explained
from warehouse_assets.lake.table import LakeTable, conflict
from warehouse_assets.tables import cast_columns

_ID = "commitId"
_said: ContextVar[tuple[tuple[str, str], ...]] = ContextVar("said", default=())

Transactions = Mapping[str, int]
"""Application id -> version. The id names a part of a source, the version is its number."""


@dataclass(frozen=True)
class Written:
    """What a write did: rows inserted, updated and deleted, and the bytes of the new files."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    bytes_written: int = 0

    @property
    def rows_changed(self) -> int:
        """Rows inserted, updated or deleted."""
        return self.inserted + self.updated + self.deleted

    def __add__(self, other: "Written") -> "Written":
        return Written(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.deleted + other.deleted,
            self.bytes_written + other.bytes_written,
        )


@contextmanager
def noted(**said: str) -> Iterator[None]:
    """Have the log say more of the commits of the block: what it says, by name.

    It becomes part of the commit, so that it is there exactly if the commit is.
    """
    token = _said.set((*_said.get(), *said.items()))
    try:
        yield
    finally:
        _said.reset(token)


def register(
    table: LakeTable,
    handle: DeltaTable,
    files: Sequence[WrittenFile],
    transactions: Transactions,
    mode: Literal["append", "overwrite"] = "append",
    replaced: Sequence[RemoveAction] = (),
    metadata: Mapping[str, str] | None = None,
) -> Written:
    """Add files that were written beside the table's own, or have them be all there are.

    The commit is made even when there are none, if there are transactions to remember. The files
    are removed if another one came before it.

    Args:
        replaced: the files whose place they take.
        metadata: what else the log is to say of the commit.
    """
    if not (files or transactions or replaced) and mode == "append":
        return Written()
    expected = handle.metadata().partition_columns
    if any(list(file.action.partition_values) != expected for file in files):
        discard(table, files)  # maintenance has laid the table out otherwise meanwhile
        raise conflict(table.name)
    properties = commit_properties(transactions, metadata)
    try:
        with committing(table, handle, properties):
            keep_hashes(table, [file.action.path for file in files])
            crash_point("commit to be written", table.name)
            handle.create_write_transaction(
                [*(file.action for file in files), *replaced],
                mode=mode,
                schema=handle.schema(),
                commit_properties=properties,
            )
    except ConflictError:
        discard(table, files)
        raise
    crash_point("commit written", table.name)
    rows = sum(file.rows for file in files)
    return Written(inserted=rows, bytes_written=sum(file.action.size for file in files))


def commit_properties(
    transactions: Transactions, metadata: Mapping[str, str] | None = None
) -> CommitProperties:
    """Properties of a commit that carries `transactions` and is the next one or none.

    Of its own accord Delta would let additions of several writers through, one after the other,
    though each has decided what to add without knowing of the others. The commit has an id, by
    which its writer knows it again.
    """
    return CommitProperties(
        custom_metadata={**dict(_said.get()), **(metadata or {}), _ID: uuid4().hex},
        max_commit_retries=0,
        app_transactions=[Transaction(app_id, version) for app_id, version in transactions.items()],
    )


@contextmanager
def committing(
    table: LakeTable, handle: DeltaTable, properties: CommitProperties
) -> Iterator[None]:
    """Have the block's commit to `handle` succeed, or nothing of it count.

    Object storage may take a commit whose answer is lost on the way, and refuse the second try of
    it: that is no conflict.

    Raises:
        ConflictError: another process committed meanwhile.
    """
    version = handle.version() + 1
    try:
        with write_explained(table):
            yield
    except CommitFailedError as error:
        own = (properties.custom_metadata or {})[_ID].encode()
        if not table.has_entry(version, own):
            raise conflict(table.name) from error
        handle.update_incremental()


def cast_query(table: LakeTable, rows: Rows) -> str:
    """A SELECT of `rows` with the columns of `table`, in their order and of their types."""
    query = rows.query if isinstance(rows, WrittenRows) else rows
    return f"SELECT {cast_columns(table.declaration)} FROM ({query})"


@contextmanager
def write_explained(table: LakeTable) -> Iterator[None]:
    """Name the table where Delta says only that there is no space, or that a store has failed."""
    try:
        with store_explained(table.path):
            yield
    except (DeltaError, OSError) as error:
        if not is_disk_full(error):
            raise
        raise LakeError(
            f"The lake table {table.name} in {table.path} cannot be written: "
            "No space left on device."
        ) from error
