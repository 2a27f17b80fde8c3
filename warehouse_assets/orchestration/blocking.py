"""What depends on a table whose blocking check failed stays as it is until the check passes.

Within one run Dagster sees to that. A later run may hold what depends on the table and not the
check: one that a person, another family's files or an automation condition began. So the step
itself looks at what the checks of all the tables before it found last.
"""

from collections.abc import Iterable, Iterator

from sqlalchemy import Table

from warehouse_assets.errors import LakeError
from warehouse_assets.lake import Lake
from warehouse_assets.orchestration.check_results import CheckResults

_reads: dict[str, tuple[str, ...]] = {}


def declare_reads(table: Table, reads: Iterable[Table]) -> None:
    """Remember that `table` is computed from `reads`."""
    _reads[str(table.name)] = tuple(str(read.name) for read in reads)


def refuse_if_blocked(lake: Lake, table: Table, reads: Iterable[Table]) -> None:
    """Look whether a blocking check of any table that `table` depends on failed when made last.

    Args:
        reads: the tables that it is computed from; their files must be readable.

    Raises:
        LakeError: one did, or is not; the message says which and what to do.
    """
    with lake.connect() as connection:
        for read in reads:
            lake.check_readable(connection, read, lake.table(read).open_existing())
    for name in dict.fromkeys(_before(str(table.name))):
        for check, problem in CheckResults(lake.folder, name).blocking_failures():
            raise LakeError(
                f"{table.name} stays as it is, for the check {check} of {name}, which it depends "
                f"on, failed: {problem.rstrip('.')}. Mend the rows of {name}, then run `warehouse "
                f"check`. Once the check passes, the next run computes {table.name}."
            )


def _before(table: str) -> Iterator[str]:
    """The tables from which `table` is computed, and those from which these are."""
    for read in _reads.get(table, ()):
        yield read
        yield from _before(read)
