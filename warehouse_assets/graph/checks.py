"""Asset checks: what holds for every table by its declaration, and what a family adds.

A check is a SELECT of the rows that violate it. All checks of one table run in one step.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import duckdb
from sqlalchemy import Table

from warehouse_assets.graph.failures import explained
from warehouse_assets.graph.metadata import markdown
from warehouse_assets.lake import Lake
from warehouse_assets.schema import REJECTED_RECORDS, identifiers, key_names
from warehouse_assets.settings import Settings

_SAMPLE_ROWS = 5


@dataclass(frozen=True)
class Scene:
    """What a check may look at."""

    table: Table
    lake: Lake
    settings: Settings
    instance: dg.DagsterInstance
    connection: duckdb.DuckDBPyConnection

    def view(self, *tables: Table) -> None:
        """Make the newest versions of `tables` readable in SQL, under their names."""
        for table in tables:
            self.lake.view_newest(self.connection, table)


@dataclass(frozen=True)
class Finding:
    """What a check found; `problem` is empty if the check passed."""

    problem: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """A check of one table.

    Args:
        description: what holds if the check passes.
        judge: makes the check.
        is_warning: that it fails does not mean that the table is wrong.
        blocks: that it fails stops what depends on the table.
    """

    name: str
    description: str
    judge: Callable[[Scene], Finding]
    is_warning: bool = False
    blocks: bool = False


def no_rows(
    name: str, description: str, query: str, reads: Sequence[Table] = (), **options: bool
) -> Check:
    """A check that passes if `query`, a SELECT of violating rows, has none.

    Args:
        reads: the tables that the query reads beside the checked one.
        options: `is_warning` and `blocks` of the check.
    """

    def judge(scene: Scene) -> Finding:
        scene.view(scene.table, *reads)
        connection = scene.connection
        connection.execute(f"CREATE OR REPLACE TEMP TABLE _violations AS {query}")
        (count,) = connection.execute("SELECT count(*) FROM _violations").fetchall()[0]
        if count == 0:
            return Finding(metadata={"violations": 0})
        sample = markdown(connection.sql(f"FROM _violations LIMIT {_SAMPLE_ROWS}"))
        return Finding(
            f"{count:,} rows violate this: {description}",
            {"violations": count, "sample": dg.MetadataValue.md(sample)},
        )

    return Check(name, description, judge, **options)


def declared_checks(table: Table) -> list[Check]:
    """What the declaration of a table promises: its key is unique, required columns are filled."""
    keys = identifiers(key_names(table))
    required = [column.name for column in table.columns if not column.nullable]
    return [
        no_rows(
            "key_is_unique",
            f"Every row has its own {', '.join(key_names(table))}.",
            f'SELECT {keys}, count(*) AS rows FROM "{table.name}" GROUP BY {keys} HAVING rows > 1',
            blocks=True,
        ),
        no_rows(
            "required_columns_are_filled",
            f"Every row has {', '.join(required)}.",
            f'SELECT {identifiers(required)} FROM "{table.name}" WHERE '
            + " OR ".join(f'"{name}" IS NULL' for name in required),
            blocks=True,
        ),
    ]


def rejected_share_is_low() -> Check:
    """Few records were rejected, beside the rows that the table holds (REJECTED_SHARE_LIMIT)."""

    def judge(scene: Scene) -> Finding:
        name, limit = str(scene.table.name), scene.settings.rejected_share_limit
        scene.view(scene.table, REJECTED_RECORDS)
        good, rejected, sample = _rejections(scene.connection, name)
        share = rejected / (good + rejected) if rejected else 0.0
        metadata = {
            "rejected": rejected,
            "rows": good,
            "share": share,
            "limit": limit,
            "sample": dg.MetadataValue.md(sample),
        }
        if share <= limit:
            return Finding(metadata=metadata)
        return Finding(
            f"{rejected:,} records were rejected beside the {good:,} rows of {name}: {share:.1%} "
            f"of both, more than {limit:.1%} (setting REJECTED_SHARE_LIMIT).",
            metadata,
        )

    return Check(
        "rejected_share_is_low",
        "Few records were rejected so far, as a share of them and the rows of the table together "
        "(setting REJECTED_SHARE_LIMIT).",
        judge,
    )


def _rejections(connection: duckdb.DuckDBPyConnection, table: str) -> tuple[int, int, str]:
    (good,) = connection.execute(f'SELECT count(*) FROM "{table}"').fetchall()[0]
    rejected = connection.sql(
        "SELECT reason, unit, position, raw FROM rejected_records WHERE source = $source",
        params={"source": table},
    )
    (count,) = rejected.aggregate("count(*)").fetchall()[0]
    newest = rejected.order("unit DESC, position").limit(_SAMPLE_ROWS)
    return int(good), int(count), markdown(newest)


def source_is_fresh() -> Check:
    """Something was delivered for the table not long ago (FRESHNESS_HOURS)."""

    def judge(scene: Scene) -> Finding:
        stored, limit = scene.lake.table(scene.table), scene.settings.freshness_hours
        if not stored.exists():
            return Finding()
        changed_at = stored.changed_at()
        if changed_at is None:
            return Finding()
        hours = (time.time() - changed_at) / 3600
        metadata = {"hours": round(hours, 2), "limit": limit}
        if hours <= limit:
            return Finding(metadata=metadata)
        return Finding(
            f"Nothing was delivered for {scene.table.name} for {hours:,.0f} hours, more than "
            f"{limit:g} (setting FRESHNESS_HOURS).",
            metadata,
        )

    return Check(
        "source_is_fresh",
        "Something was delivered not long ago (setting FRESHNESS_HOURS).",
        judge,
        is_warning=True,
    )


def is_fresh(reads: Sequence[Table]) -> Check:
    """The table was computed after the tables that it reads last changed."""

    def judge(scene: Scene) -> Finding:
        key = dg.AssetKey(str(scene.table.name))
        event = scene.instance.get_latest_materialization_event(key)
        if event is None:  # another history than this one knows of it
            return Finding()
        later = [
            str(read.name)
            for read in reads
            if (stored := scene.lake.table(read)).exists()
            and (stored.changed_at() or 0) > event.timestamp
        ]
        if not later:
            return Finding()
        return Finding(f"{', '.join(later)} changed since {scene.table.name} was computed.")

    return Check(
        "is_fresh", "It was computed after its sources last changed.", judge, is_warning=True
    )


def _result(check: Check, key: dg.AssetCheckKey, finding: Finding) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.WARN if check.is_warning else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(
        passed=not finding.problem,
        asset_key=key.asset_key,
        check_name=check.name,
        severity=severity,
        description=finding.problem or None,
        metadata=finding.metadata,
    )


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
        with explained(context), lake.connect() as connection:
            scene = Scene(table, lake, settings, context.instance, connection)
            for key in sorted(context.selected_asset_check_keys, key=lambda key: key.name):
                yield _result(by_name[key.name], key, by_name[key.name].judge(scene))

    return evaluate
