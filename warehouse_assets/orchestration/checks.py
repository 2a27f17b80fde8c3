"""Asset checks: what a check is, the step that makes those of a table, and their last results.

A check whose tables have not changed since it was made is not made again: its last result is
given, and says so. Every check of a table whose files cannot be read fails, whatever was found
before. What most checks are made of is in `standard_checks`.

The last results are kept beside the lake. What depends on a table whose blocking check failed
stays as it is until the check passes. Within one run Dagster sees to that. A later run may hold
what depends on the table and not the check: one that a person, another family's files or an
automation condition began. So the step itself looks at what the checks of all the tables before it
found last. Losing the results costs only time otherwise: every check is then made.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

import dagster as dg
import duckdb
from deltalake import DeltaTable
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Table

from warehouse_assets.errors import LakeError, is_disk_full
from warehouse_assets.lake import Lake
from warehouse_assets.lake.storage import Place, read_whole, write_whole
from warehouse_assets.orchestration.step import in_step
from warehouse_assets.settings import Settings

Version = tuple[str, int] | None
"""Identity and version of a table of the lake; None if there is no such table."""

_reads: dict[Table, tuple[Table, ...]] = {}


@dataclass
class CheckContext:
    """What a check may look at.

    `passed_at` is the version of the table for which the check passed when it was made last, if
    all else that it looks at is the same; then only what came since can violate it.
    """

    table: Table
    lake: Lake
    settings: Settings
    connection: duckdb.DuckDBPyConnection
    passed_at: int | None = None
    _handles: dict[str, DeltaTable | None] = field(default_factory=dict)

    def handle(self, table: Table) -> DeltaTable | None:
        """The version of `table` that all checks of this step look at; None if there is none.

        Raises:
            LakeError: one of its files cannot be read.
        """
        name = str(table.name)
        if name not in self._handles:
            stored = self.lake.table(table)
            handle = stored.open_existing()
            stored.check_readable(self.connection, handle)
            self._handles[name] = handle
        return self._handles[name]

    def version(self, table: Table) -> Version:
        """Which version that is."""
        handle = self.handle(table)
        return None if handle is None else (str(handle.metadata().id), handle.version())

    def view(self, *tables: Table) -> None:
        """Make `tables` readable in SQL, under their names.

        Partial rows of aggregated tables are as they are: what holds of each holds of their sum.
        """
        for table in tables:
            handle = self.handle(table)
            files = self.lake.table(table).files(handle) if handle else []
            self.lake.view_files(self.connection, table, files, str(table.name))


@dataclass(frozen=True)
class CheckResult:
    """What a check found; `problem` is empty if the check passed.

    `metadata` holds numbers and text; the text `sample` is Markdown.
    """

    problem: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """A check of one table.

    Args:
        description: what holds if the check passes.
        evaluate: makes the check.
        reads: the tables that it looks at beside the checked one.
        definition: what its result depends on beside tables, as text; None if that cannot be
            said, as of a check that depends on the time: it is made every time.
        is_warning: that it fails does not mean that the table is wrong.
        blocks: that it fails stops what depends on the table; it needs a definition, since its
            last result is in force until it is made again.
    """

    name: str
    description: str
    evaluate: Callable[[CheckContext], CheckResult]
    reads: Sequence[Table] = ()
    definition: Callable[[Settings], str] | None = None
    is_warning: bool = False
    blocks: bool = False

    def __post_init__(self) -> None:
        if self.blocks and self.definition is None:
            raise TypeError(f"the blocking check {self.name} has no definition")


@dataclass(frozen=True)
class LookedAt:
    """All that a result depends on: the check itself, its table, and the tables it reads."""

    definition: str
    table: Version
    others: Mapping[str, Version]

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

    def passed_at(self, now: LookedAt) -> int | None:
        """The version of the table that passed, if nothing but later ones of it is different."""
        then = self.looked_at
        if self.problem or then.table is None or replace(then, table=now.table) != now:
            return None
        return then.table[1] if then == now or then.is_before(now) else None


def checks_of(table: Table, checks: Iterable[Check]) -> dg.AssetChecksDefinition:
    """One step that makes all `checks` of `table`, or those selected."""
    by_name = {check.name: check for check in checks}

    @dg.multi_asset_check(
        name=f"check_{table.name}",
        specs=[
            dg.AssetCheckSpec(
                check.name,
                asset=str(table.name),
                description=check.description,
                blocking=check.blocks,
            )
            for check in by_name.values()
        ],
        can_subset=True,
    )
    def evaluate(
        context: dg.AssetCheckExecutionContext,
        lake: dg.ResourceParam[Lake],
        settings: dg.ResourceParam[Settings],
    ) -> Iterable[dg.AssetCheckResult]:
        with in_step(context), lake.connect() as connection:
            looking = CheckContext(table, lake, settings, connection)
            names = sorted(key.name for key in context.selected_asset_check_keys)
            last, made = last_results(lake, str(table.name)), dict[str, KeptResult]()
            shown = [_make_if_readable(by_name[name], looking, last, made) for name in names]
            keep_results(lake, str(table.name), made, by_name)
        yield from shown

    return evaluate


def _make_if_readable(
    check: Check,
    context: CheckContext,
    last: Mapping[str, KeptResult],
    made: dict[str, KeptResult],
) -> dg.AssetCheckResult:
    is_warning = check.is_warning
    try:
        result = _make(check, context, last.get(check.name), made)
    except (LakeError, duckdb.IOException, duckdb.InvalidInputException) as error:
        if is_disk_full(error):
            raise
        result, is_warning = CheckResult(str(error)), False
    metadata = dict(result.metadata)
    if "sample" in metadata:
        metadata["sample"] = dg.MetadataValue.md(metadata["sample"])
    return dg.AssetCheckResult(
        passed=not result.problem,
        asset_key=str(context.table.name),
        check_name=check.name,
        severity=dg.AssetCheckSeverity.WARN if is_warning else dg.AssetCheckSeverity.ERROR,
        description=result.problem or None,
        metadata=metadata,
    )


def _make(
    check: Check, context: CheckContext, last: KeptResult | None, made: dict[str, KeptResult]
) -> CheckResult:
    """Make the check, unless its `last` result is still that; what is made is put into `made`."""
    version = context.version(context.table)
    others = {str(read.name): context.version(read) for read in check.reads}
    if check.definition is None:
        return check.evaluate(context)
    looked_at = LookedAt(check.definition(context.settings), version, others)
    if last is not None and (last.looked_at, last.blocks) == (looked_at, check.blocks):
        return CheckResult(last.problem, {**last.metadata, "unchanged_since": last.made_at})
    context.passed_at = None if last is None else last.passed_at(looked_at)
    result = check.evaluate(context)
    made[check.name] = KeptResult(looked_at, result.problem, result.metadata, check.blocks)
    return result


_RESULTS = TypeAdapter(dict[str, KeptResult])


def last_results(lake: Lake, table: str) -> dict[str, KeptResult]:
    """The last results of the checks of a table that are known, by the checks' names."""
    try:
        return _RESULTS.validate_json(read_whole(_path(lake, table)) or b"{}")
    except (OSError, ValidationError):
        return {}  # never made, or not readable: made again


def keep_results(
    lake: Lake, table: str, made: Mapping[str, KeptResult], checks: Collection[str]
) -> None:
    """Keep what was `made` as the last results, and forget those of checks that are no more.

    Args:
        checks: the names of all checks that the table has.
    """
    if not made and last_results(lake, table).keys() <= set(checks):
        return
    path = _path(lake, table)
    with lake.lock(f"{table}.checks"):
        results = last_results(lake, table)  # another run may have kept some meanwhile
        for name, result in made.items():
            if name not in results or not result.looked_at.is_before(results[name].looked_at):
                results[name] = result
        left = {name: result for name, result in results.items() if name in checks}
        write_whole(path, _RESULTS.dump_json(left))


def _path(lake: Lake, table: str) -> Place:
    return lake.folder / ".checks" / f"{table}.json"


def declare_reads(table: Table, reads: Iterable[Table]) -> None:
    """Remember that `table` is computed from `reads`."""
    _reads[table] = tuple(reads)


def followers(table: Table) -> list[Table]:
    """The tables that are computed from `table`, or from one of them, each behind what it reads."""
    found = [table]
    for follower, reads in _reads.items():  # families name sources before what is computed of them
        if not set(reads).isdisjoint(found):
            found.append(follower)
    return found[1:]


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
    for name in dict.fromkeys(str(read.name) for read in _before(table)):
        for check, result in sorted(last_results(lake, name).items()):
            if result.blocks and result.problem:
                raise LakeError(
                    f"{table.name} stays as it is, for the check {check} of {name}, which it "
                    f"depends on, failed: {result.problem.rstrip('.')}. Mend the rows of {name}, "
                    "then run `warehouse check`. Once the check passes, the next run computes "
                    f"{table.name}."
                )


def _before(table: Table) -> Iterator[Table]:
    """The tables from which `table` is computed, and those from which these are."""
    for read in _reads.get(table, ()):
        yield read
        yield from _before(read)
