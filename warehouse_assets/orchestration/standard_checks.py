"""Checks that tables of every family have, and what the families' own are made of."""

import time
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import duckdb
from sqlalchemy import Column, Table

from warehouse_assets.ingest.load import loaded_at
from warehouse_assets.ingest.staging import known_fields
from warehouse_assets.lake import view_changes
from warehouse_assets.orchestration.checks import Check, CheckContext, CheckResult
from warehouse_assets.orchestration.metadata import markdown
from warehouse_assets.settings import Settings
from warehouse_assets.tables import (
    REJECTED_RECORDS,
    UNKNOWN_FIELDS,
    aggregates,
    column_names,
    identifiers,
    key_names,
)

_SAMPLE_ROWS = 5
_MOST_NAMED = 20


def no_rows(
    name: str,
    description: str,
    query: str,
    reads: Sequence[Table] = (),
    query_of_added: str = "",
    depends_on_time: bool = False,
    is_warning: bool = False,
    blocks: bool = False,
) -> Check:
    """A check that passes if `query`, a SELECT of violating rows, has none.

    Args:
        reads: the tables that the query reads beside the checked one.
        query_of_added: has rows if those in `_added`, which are new or changed since the check
            passed, make violations where there were none; for a query that DuckDB cannot answer
            from the statistics of the files. If it has rows, the whole table decides: a row may
            have come and gone.
        depends_on_time: rows that violate it today may not do so tomorrow.
    """

    def evaluate(context: CheckContext) -> CheckResult:
        connection = context.connection
        context.view(context.table, *reads)
        if query_of_added and _view_added(context) and _count(connection, query_of_added) == 0:
            return CheckResult(metadata={"violations": 0})
        count = _count(connection, query)
        if count == 0:
            return CheckResult(metadata={"violations": 0})
        sample = markdown(connection.sql(f"FROM _violations LIMIT {_SAMPLE_ROWS}"))
        return CheckResult(
            f"{count:,} rows violate this: {description}",
            {"violations": count, "sample": sample},
        )

    def definition(settings: Settings) -> str:
        return f"{query} {datetime.now(timezone.utc).date()}" if depends_on_time else query

    return Check(name, description, evaluate, reads, definition, is_warning, blocks)


def values_are_plausible(table: Table, description: str, is_wrong: str) -> Check:
    """A check, which blocks, that for no row of `table` the SQL condition `is_wrong` holds."""
    query = f"SELECT * FROM {table.name} WHERE {is_wrong}"
    return no_rows("values_are_plausible", description, query, blocks=True)


def times_are_plausible(
    column: Column[Any], year: int, shown: str = "*", name: str = "times_are_plausible"
) -> Check:
    """A check that warns of times before a year, or later than a day from now, for time zones.

    Args:
        shown: the columns of violating rows.
    """
    return no_rows(
        name,
        f"{column.name} is from {year} on and not in the future.",
        f"""SELECT {shown} FROM {column.table.name} WHERE {column.name} < TIMESTAMP '{year}-01-01'
            OR {column.name} > now() AT TIME ZONE 'UTC' + INTERVAL 1 DAY""",
        depends_on_time=True,
        is_warning=True,
    )


def adds_up(column: Column[Any], whole: Table) -> Check:
    """A check that warns where a sum is not that of `whole`, or, if it has none, its rows."""
    name, table = column.name, column.table.name
    total = f"sum({name})" if name in whole.columns else "count(*)"
    return no_rows(
        f"{name}_add_up",
        f"The {name} of all rows add up to those of {whole.name}: each counts once.",
        f"""SELECT * FROM (SELECT coalesce(sum({name}), 0) AS {name}_here FROM {table}),
            (SELECT coalesce({total}, 0) AS {name}_there FROM {whole.name})
        WHERE {name}_here <> {name}_there""",
        reads=[whole],
        is_warning=True,
    )


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """How many rows `query` has; they are in the table `_violations`."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE _violations AS {query}")
    (count,) = connection.execute("SELECT count(*) FROM _violations").fetchall()[0]
    return int(count)


def _view_added(context: CheckContext) -> bool:
    """Make the rows added or changed since the check passed readable as `_added`, if known."""
    handle = context.handle(context.table)
    if context.passed_at is None or handle is None:
        return False
    if not view_changes(context.connection, handle, context.passed_at, "_changes"):
        return False
    context.connection.execute(
        f"""CREATE OR REPLACE TEMP VIEW _added AS
        SELECT {identifiers(column_names(context.table))} FROM _changes
        WHERE _change_type IN ('insert', 'update_postimage')"""
    )
    return True


def declared_checks(table: Table) -> list[Check]:
    """What the declaration of a table promises: its key is unique, required columns are filled.

    Partial rows of an aggregated table are read as one, whose key is its own.
    """
    keys = identifiers(key_names(table))
    required = [column.name for column in table.columns if not column.nullable]
    key_is_unique = no_rows(
        "key_is_unique",
        f"Every row has its own {', '.join(key_names(table))}.",
        f'SELECT {keys}, count(*) AS rows FROM "{table.name}" GROUP BY {keys} HAVING rows > 1',
        # Of keys that were unique, only one that came again can be there twice.
        query_of_added=f"""SELECT {keys}, count(*) AS rows
            FROM (SELECT {keys} FROM "{table.name}" SEMI JOIN _added USING ({keys}))
            GROUP BY {keys} HAVING rows > 1""",
        blocks=True,
    )
    required_are_filled = no_rows(
        "required_columns_are_filled",
        f"Every row has {', '.join(required)}.",
        f'SELECT {identifiers(required)} FROM "{table.name}" WHERE '
        + " OR ".join(f'"{name}" IS NULL' for name in required),
        blocks=True,
    )
    has_key = bool(keys) and not aggregates(table)
    return [key_is_unique, required_are_filled] if has_key else [required_are_filled]


def rejected_share_is_low() -> Check:
    """Few records were rejected, beside the rows that the table holds (REJECTED_SHARE_LIMIT)."""

    def evaluate(context: CheckContext) -> CheckResult:
        name, limit = str(context.table.name), context.settings.rejected_share_limit
        context.view(context.table, REJECTED_RECORDS)
        good, rejected, sample = _rejections(context.connection, name)
        share = rejected / (good + rejected) if rejected else 0.0
        metadata = {
            "rejected": rejected,
            "rows": good,
            "share": share,
            "limit": limit,
            "sample": sample,
        }
        if share <= limit:
            return CheckResult(metadata=metadata)
        return CheckResult(
            f"{rejected:,} records were rejected beside the {good:,} rows of {name}: {share:.1%} "
            f"of both, more than {limit:.1%} (setting REJECTED_SHARE_LIMIT).",
            metadata,
        )

    return Check(
        "rejected_share_is_low",
        "Few records were rejected so far, as a share of them and the rows of the table together "
        "(setting REJECTED_SHARE_LIMIT).",
        evaluate,
        reads=[REJECTED_RECORDS],
        definition=lambda settings: str(settings.rejected_share_limit),
    )


def _rejections(connection: duckdb.DuckDBPyConnection, table: str) -> tuple[int, int, str]:
    (good,) = connection.execute(f'SELECT count(*) FROM "{table}"').fetchall()[0]
    rejected = connection.sql(
        "SELECT reason, value, unit, position, raw FROM rejected_records WHERE source = $source",
        params={"source": table},
    )
    (count,) = rejected.aggregate("count(*)").fetchall()[0]
    newest = rejected.order("unit DESC, position").limit(_SAMPLE_ROWS)
    return int(good), int(count), markdown(newest)


def has_no_unknown_fields(table: Table) -> Check:
    """The source has no fields but those that the table keeps or is declared to ignore."""

    def known() -> list[str]:
        return sorted(known_fields(table))

    def evaluate(context: CheckContext) -> CheckResult:
        context.view(UNKNOWN_FIELDS)
        found = context.connection.sql(
            """SELECT field, unit, first_seen_at FROM unknown_fields
            WHERE source = $source AND NOT list_contains(CAST($known AS VARCHAR[]), field)
            ORDER BY field""",
            params={"source": str(table.name), "known": known()},
        )
        names = [field for field, *_ in found.fetchall()]
        if not names:
            return CheckResult(metadata={"unknown_fields": 0})
        shown = ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")
        return CheckResult(
            f"The source has fields that no column is for, so that what is in them is not kept: "
            f"{shown}. Declare columns, or name them in the ignored_fields of {table.name}.",
            {"unknown_fields": len(names), "sample": markdown(found.limit(_MOST_NAMED))},
        )

    return Check(
        "has_no_unknown_fields",
        "The source has no field that would be lost, because no column is for it.",
        evaluate,
        reads=[UNKNOWN_FIELDS],
        definition=lambda _: repr(known()),
        is_warning=True,
    )


def source_is_fresh() -> Check:
    """Something was delivered for the table not long ago (FRESHNESS_HOURS)."""

    def evaluate(context: CheckContext) -> CheckResult:
        limit, handle = context.settings.freshness_hours, context.handle(context.table)
        last = loaded_at(handle, str(context.table.name)) if handle else None
        if last is None:
            return CheckResult()
        hours = (time.time() - last) / 3600
        metadata = {"hours": round(hours, 2), "limit": limit}
        if hours <= limit:
            return CheckResult(metadata=metadata)
        return CheckResult(
            f"Nothing was delivered for {context.table.name} for {hours:,.0f} hours, more than "
            f"{limit:g} (setting FRESHNESS_HOURS).",
            metadata,
        )

    return Check(
        "source_is_fresh",
        "Something was delivered not long ago (setting FRESHNESS_HOURS).",
        evaluate,
        is_warning=True,
    )
