"""Fields of a source that no column is for: they are not kept, but named, and remembered.

A table names the fields that its columns are read from in their `info["field"]`. What else its
source is known to have, and nobody wants, it may name in its own `info["ignored_fields"]`. A
reader notes the others in the table `UNKNOWN`; they are committed to the table `unknown_fields`
before the rows are, each once, so that a catch-up that died notes them again.
"""

from collections.abc import Iterable, Mapping

import duckdb
from sqlalchemy import Table

from warehouse_assets.lake import Lake, append
from warehouse_assets.tables import UNKNOWN_FIELDS

UNKNOWN = "_unknown"
"""Temporary table of fields: the arrival number of what has them, and their names."""

MOST_FIELDS = 100
"""So many of one table are remembered; a source may make up a name for each record."""

_MOST_CHARACTERS = 200


def known_fields(table: Table) -> set[str]:
    """The fields that `table` keeps, and those that it is declared to ignore."""
    kept = {str(c.info["field"]) for c in table.columns if "field" in c.info}
    return kept | set(table.info.get("ignored_fields", ()))


def note_names(
    connection: duckdb.DuckDBPyConnection, names: Iterable[str], arrival: int = 0
) -> None:
    """Note the fields `names`; of many not all."""
    rows = [(arrival, name) for name in sorted(set(names))[:MOST_FIELDS]]
    if rows:
        connection.executemany(f"INSERT INTO {UNKNOWN} VALUES (?, ?)", rows)


def note_fields_of(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    known: Iterable[str],
    parameters: Mapping[str, object] | None = None,
) -> None:
    """Note fields of records.

    Args:
        relation: SQL with the columns `arrival` and `fields`, a list of names, or null.
        known: the names that need not be noted.
        parameters: those of `relation`.
    """
    connection.execute(
        f"""INSERT INTO {UNKNOWN} SELECT min(arrival) AS arrival, field FROM (
            SELECT arrival, unnest(fields) AS field
            FROM {relation}
            WHERE NOT list_has_all(CAST($known AS VARCHAR[]), fields))
        WHERE NOT list_contains(CAST($known AS VARCHAR[]), field) GROUP BY field
        ORDER BY arrival, field LIMIT {MOST_FIELDS}""",
        {"known": sorted(known), **(parameters or {})},
    )


def keep_unknown_fields(
    lake: Lake, connection: duckdb.DuckDBPyConnection, table: Table, units: Mapping[int, str]
) -> tuple[str, ...]:
    """Commit to `unknown_fields` what was noted for `table` and is not in it yet.

    Returns all names that were noted, as people can be shown them.

    Args:
        units: the names of the units, by arrival number.
    """
    found = connection.execute(
        f"""SELECT min(arrival), field FROM {UNKNOWN}
        GROUP BY field ORDER BY 1, 2 LIMIT {MOST_FIELDS}"""
    ).fetchall()
    if not found:
        return ()
    noted: dict[str, str] = {}
    for arrival, field in found:
        noted.setdefault(_shown(field), units[arrival])
    stored = lake.table(UNKNOWN_FIELDS)
    with lake.lock(stored.name):
        handle = stored.open()
        lake.view(connection, UNKNOWN_FIELDS, handle)
        rows = connection.execute(
            f"SELECT field FROM {stored.name} WHERE source = ?", [str(table.name)]
        ).fetchall()
        held = {field for (field,) in rows}
        new = [field for field in noted if field not in held][: max(MOST_FIELDS - len(held), 0)]
        if new:
            connection.execute(
                """CREATE OR REPLACE TEMP TABLE _new_fields AS
                SELECT CAST(? AS VARCHAR) AS source, unnest(CAST(? AS VARCHAR[])) AS field,
                    unnest(CAST(? AS VARCHAR[])) AS unit, now() AT TIME ZONE 'UTC' AS first_seen_at
                """,
                [str(table.name), new, [noted[field] for field in new]],
            )
            append(connection, stored, handle, "FROM _new_fields", {})
    return tuple(noted)


def in_words(names: Iterable[str]) -> str:
    """What is told of unknown fields."""
    return f"fields that no column is for: {', '.join(names)}"


def _shown(name: str) -> str:
    """A name that a hostile source cannot do harm by, at most 200 characters of it."""
    shown = name if len(name) <= _MOST_CHARACTERS else name[: _MOST_CHARACTERS - 1] + "…"
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in shown)
