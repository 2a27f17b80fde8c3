"""What the checks of a table found last, kept beside the lake so that it need not be found again.

What depends on a table whose blocking check failed stays as it is until the check passes. Within
one run Dagster sees to that. A later run may hold what depends on the table and not the check: one
that a person, another family's files or an automation condition began. So the step itself looks at
what the checks of all the tables before it found last. Losing the results costs only time
otherwise: every check is then made.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Table

from warehouse_assets.errors import LakeError, naming
from warehouse_assets.lake import Lake

Version = tuple[str, int] | None
"""Identity and version of a table of the lake; None if there is no such table."""

_reads: dict[str, tuple[str, ...]] = {}


@dataclass(frozen=True)
class LookedAt:
    """All that a result depends on: the check itself, its table, and the tables it reads."""

    definition: str
    table: Version
    others: Mapping[str, Version]

    def appended_since(self, last: "LookedAt") -> int | None:
        """The table's version in `last`, if nothing but later versions of it is different."""
        if (self.definition, self.others) != (last.definition, last.others):
            return None
        if last.table is not None and (last == self or last.is_before(self)):
            return last.table[1]
        return None

    def is_before(self, other: "LookedAt") -> bool:
        """Whether it is of an earlier version of the same table."""
        if self.table is None or other.table is None:
            return False
        return self.table[0] == other.table[0] and self.table[1] < other.table[1]


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@dataclass(frozen=True)
class KeptResult:
    """The result of a check, when it was made, what it depends on, and whether the check blocks."""

    looked_at: LookedAt
    problem: str
    metadata: Mapping[str, Any]
    blocks: bool
    made_at: str = field(default_factory=_now)


_RESULTS = TypeAdapter(dict[str, KeptResult])


def last_results(lake_folder: Path, table: str) -> dict[str, KeptResult]:
    """The last results of the checks of a table that are known, by the checks' names."""
    try:
        return _RESULTS.validate_json(_path(lake_folder, table).read_bytes())
    except (OSError, ValidationError):
        return {}  # never made, or not readable: made again


def keep_results(
    lake_folder: Path, table: str, made: Mapping[str, KeptResult], checks: Collection[str]
) -> None:
    """Keep what was `made` as the last results, and forget those of checks that are no more.

    Args:
        checks: the names of all checks that the table has.
    """
    if not made and last_results(lake_folder, table).keys() <= set(checks):
        return
    path = _path(lake_folder, table)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    with FileLock(path.with_suffix(".lock")), naming(path):
        results = last_results(lake_folder, table)  # another run may have kept some meanwhile
        for name, result in made.items():
            if name not in results or not result.looked_at.is_before(results[name].looked_at):
                results[name] = result
        partial.write_bytes(_RESULTS.dump_json({n: r for n, r in results.items() if n in checks}))
        partial.replace(path)


def _path(lake_folder: Path, table: str) -> Path:
    return lake_folder / ".checks" / f"{table}.json"


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
            stored = lake.table(read)
            stored.check_readable(connection, stored.open_existing())
    for name in dict.fromkeys(_before(str(table.name))):
        for check, result in sorted(last_results(lake.folder, name).items()):
            if result.blocks and result.problem:
                raise LakeError(
                    f"{table.name} stays as it is, for the check {check} of {name}, which it "
                    f"depends on, failed: {result.problem.rstrip('.')}. Mend the rows of {name}, "
                    "then run `warehouse check`. Once the check passes, the next run computes "
                    f"{table.name}."
                )


def _before(table: str) -> Iterator[str]:
    """The tables from which `table` is computed, and those from which these are."""
    for read in _reads.get(table, ()):
        yield read
        yield from _before(read)
