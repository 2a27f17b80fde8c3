"""Asset checks: what a check is, and the step that makes those of a table.

A check whose tables have not changed since it was made is not made again: its last result is
given, and says so. Every check of a table whose files cannot be read fails, whatever was found
before. What most checks are made of is in `standard_checks`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import dagster as dg
import duckdb
from deltalake import DeltaTable
from sqlalchemy import Table

from warehouse_assets.errors import LakeError, is_disk_full
from warehouse_assets.lake import Lake
from warehouse_assets.orchestration.check_results import (
    KeptResult,
    LookedAt,
    keep_results,
    last_results,
)
from warehouse_assets.orchestration.failures import in_step
from warehouse_assets.settings import Settings


@dataclass
class CheckContext:
    """What a check may look at; `stack` closes what it opens.

    `passed_at` is the version of the table for which the check passed when it was made last, if
    all else that it looks at is the same; then only what came since can violate it.
    """

    table: Table
    lake: Lake
    settings: Settings
    stack: ExitStack
    passed_at: int | None = None
    _handles: dict[str, DeltaTable | None] = field(default_factory=dict)
    _readable: set[str] = field(default_factory=set)

    @cached_property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """A connection for the time of the step; most steps have nothing to look at."""
        return self.stack.enter_context(self.lake.connect())

    def handle(self, table: Table) -> DeltaTable | None:
        """The version of `table` that all checks of this step look at; None if there is none."""
        name = str(table.name)
        if name not in self._handles:
            self._handles[name] = self.lake.table(table).open_existing()
        return self._handles[name]

    def check_readable(self, *tables: Table) -> None:
        """Look whether the files of `tables` can be read, each table once.

        Raises:
            LakeError: one cannot.
        """
        for table in tables:
            name = str(table.name)
            if name not in self._readable:
                self.lake.table(table).check_readable(self.connection, self.handle(table))
                self._readable.add(name)

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
        with in_step(context), ExitStack() as stack:
            looking = CheckContext(table, lake, settings, stack)
            names = sorted(key.name for key in context.selected_asset_check_keys)
            last, made = last_results(lake.folder, str(table.name)), dict[str, KeptResult]()
            shown = [_make_if_readable(by_name[name], looking, last, made) for name in names]
            keep_results(lake.folder, str(table.name), made, by_name)
        yield from shown

    return evaluate


def _make_if_readable(
    check: Check,
    context: CheckContext,
    results: Mapping[str, KeptResult],
    made: dict[str, KeptResult],
) -> dg.AssetCheckResult:
    try:
        context.check_readable(context.table, *check.reads)
        return _make(check, context, results.get(check.name), made)
    except (LakeError, duckdb.IOException, duckdb.InvalidInputException) as error:
        if is_disk_full(error):
            raise
        return dg.AssetCheckResult(
            passed=False,
            asset_key=str(context.table.name),
            check_name=check.name,
            severity=dg.AssetCheckSeverity.ERROR,
            description=str(error),
        )


def _make(
    check: Check, context: CheckContext, last: KeptResult | None, made: dict[str, KeptResult]
) -> dg.AssetCheckResult:
    """Make the check, unless its `last` result is still that; what is made is put into `made`."""
    if check.definition is None:
        return _shown(check, context.table, check.evaluate(context))
    looked_at = _looked_at(check, context, check.definition)
    if last is not None and (last.looked_at, last.blocks) == (looked_at, check.blocks):
        since = {"unchanged_since": last.made_at}
        result = CheckResult(last.problem, {**last.metadata, **since})
        return _shown(check, context.table, result)
    context.passed_at = None
    if last is not None and not last.problem:
        context.passed_at = looked_at.appended_since(last.looked_at)
    result = check.evaluate(context)
    made[check.name] = KeptResult(looked_at, result.problem, result.metadata, check.blocks)
    return _shown(check, context.table, result)


def _looked_at(
    check: Check, context: CheckContext, definition: Callable[[Settings], str]
) -> LookedAt:
    def version(table: Table) -> tuple[str, int] | None:
        handle = context.handle(table)
        return None if handle is None else (str(handle.metadata().id), handle.version())

    others = {str(read.name): version(read) for read in check.reads}
    return LookedAt(definition(context.settings), version(context.table), others)


def _shown(check: Check, table: Table, result: CheckResult) -> dg.AssetCheckResult:
    metadata = dict(result.metadata)
    if "sample" in metadata:
        metadata["sample"] = dg.MetadataValue.md(metadata["sample"])
    return dg.AssetCheckResult(
        passed=not result.problem,
        asset_key=str(table.name),
        check_name=check.name,
        severity=dg.AssetCheckSeverity.WARN if check.is_warning else dg.AssetCheckSeverity.ERROR,
        description=result.problem or None,
        metadata=metadata,
    )
