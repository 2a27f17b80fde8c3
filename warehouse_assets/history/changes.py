"""In what two versions of a table differ: rows added, removed, and changed, of a key, old to new.

Files that both versions have hold the same rows; only the others are read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import duckdb
from deltalake import DeltaTable
from sqlalchemy import Table

from warehouse_assets.catalogue import order_of, reads_of
from warehouse_assets.history.as_of import Handles, fetch, view
from warehouse_assets.lake import Lake, names_of
from warehouse_assets.tables import (
    Question,
    aggregated,
    aggregates,
    column_names,
    identifiers,
    key_names,
)

Kind = Literal["added", "changed", "removed"]


@dataclass(frozen=True)
class Change:
    """A row that differs: it has no values before it was added, nor after it was removed."""

    kind: Kind
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True)
class Changes:
    """The rows that differ; of many only the first are here, all are counted.

    Args:
        added: how many rows there are more; `changed` and `removed` in the same manner.
    """

    names: Sequence[str]
    added: int
    changed: int
    removed: int
    rows: Sequence[Change]

    @property
    def total(self) -> int:
        """How many rows differ."""
        return self.added + self.changed + self.removed


def changes_between(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    asked: Table | Question,
    before: Handles,
    after: Handles,
    limit: int,
) -> Changes:
    """In what an answer differs after from before.

    Rows of a question have no key: one of other values is a row removed and one added.
    """
    if isinstance(asked, Table):
        name = str(asked.name)
        find_difference(lake, connection, asked, before[name], after[name])
        return changes_of(connection, asked, limit)
    query = asked.sql
    for relation, handles in (("_all_old", before), ("_all_new", after)):
        view(lake, connection, reads_of(asked), handles)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {relation} AS {query}")
    names, _ = fetch(connection, "FROM _all_old LIMIT 0")
    _except(connection, "_all_old", "_all_new", "_question")
    return _listed(connection, names, [], names, "_question", limit)


def find_difference(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    declaration: Table,
    before: DeltaTable | None,
    after: DeltaTable | None,
    only: tuple[str, str] | None = None,
) -> None:
    """Make the temporary tables `_old_TABLE` and `_new_TABLE` of the rows in which both differ.

    Args:
        only: SQL over the relation `row` for rows that are asked for, before and after. What has
            the same key as one of them is there, too.
    """
    name, table = str(declaration.name), lake.table(declaration)
    files = [set(names_of(handle)) if handle else set[str]() for handle in (before, after)]
    sides = ("old", "new")
    for side, own, others in zip(sides, files, reversed(files), strict=True):
        paths = table.paths(sorted(own - others))
        lake.view_files(connection, declaration, paths, f"_all_{side}")
    keys = identifiers(key_names(declaration))
    if aggregates(declaration):
        # Partial rows say of which keys the sum may have changed.
        connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE _keys AS
            SELECT {keys} FROM _all_old UNION SELECT {keys} FROM _all_new"""
        )
        for side, own in zip(sides, files, strict=True):
            lake.view_files(connection, declaration, table.paths(sorted(own)), "_partial")
            rows = aggregated(declaration, f"(FROM _partial SEMI JOIN _keys USING ({keys}))")
            connection.execute(f"CREATE OR REPLACE TEMP TABLE _sum_{side} AS {rows}")
        relations = ["_sum_old", "_sum_new"]
    else:
        relations = ["_all_old", "_all_new"]
    if only is not None:
        chosen = [
            f"(SELECT row.* FROM {relation} AS row WHERE {condition})"
            for relation, condition in zip(relations, only, strict=True)
        ]
        if keys:
            _except(connection, chosen[0], chosen[1], "_chosen")
            same = f"SELECT {keys} FROM _old__chosen UNION SELECT {keys} FROM _new__chosen"
            connection.execute(f"CREATE OR REPLACE TEMP TABLE _keys AS {same}")
            chosen = [f"(FROM {relation} SEMI JOIN _keys USING ({keys}))" for relation in relations]
        relations = chosen
    columns = identifiers(column_names(declaration))
    old, new = (f"(SELECT {columns} FROM {relation})" for relation in relations)
    _except(connection, old, new, name)


def changes_of(
    connection: duckdb.DuckDBPyConnection,
    declaration: Table,
    limit: int,
    condition: str = "true",
) -> Changes:
    """What `find_difference` found of a table, in the order of its key.

    Args:
        condition: SQL over the relation `row`: changes of which neither row is so are left out.
    """
    names, keys = column_names(declaration), key_names(declaration)
    order = [str(column.name) for column in order_of(declaration)] or names
    return _listed(connection, names, keys, order, str(declaration.name), limit, condition)


def _except(connection: duckdb.DuckDBPyConnection, old: str, new: str, name: str) -> None:
    """Make `_old_NAME` of what of `old` is not in `new`, and `_new_NAME` the other way round."""
    for side, own, other in (("old", old, new), ("new", new, old)):
        connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE "_{side}_{name}" AS
            FROM {own} EXCEPT ALL FROM {other}"""
        )


def _listed(
    connection: duckdb.DuckDBPyConnection,
    names: Sequence[str],
    keys: Sequence[str],
    order: Sequence[str],
    name: str,
    limit: int,
    condition: str = "true",
) -> Changes:
    old, new = (identifiers(names, f"{side}.") for side in ("old", "new"))
    same = " AND ".join(f'old."{key}" = new."{key}"' for key in keys) or "false"
    sort = ", ".join(f'coalesce(new."{column}", old."{column}")' for column in order)
    chosen = " OR ".join(
        f"(SELECT {condition} FROM (SELECT {side}.*) AS row)" for side in ("old", "new")
    )
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE _listed AS
        SELECT CASE WHEN old._is_there IS NULL THEN 'added' WHEN new._is_there IS NULL
            THEN 'removed' ELSE 'changed' END AS _kind, row({old}) AS _old, row({new}) AS _new
        FROM (SELECT *, true AS _is_there FROM "_old_{name}") AS old
        FULL JOIN (SELECT *, true AS _is_there FROM "_new_{name}") AS new ON {same}
        WHERE {chosen} ORDER BY {sort}, _kind DESC"""
    )
    counted = dict(
        connection.execute("SELECT _kind, count(*) FROM _listed GROUP BY _kind").fetchall()
    )
    found = connection.execute("SELECT _kind, _old, _new FROM _listed LIMIT ?", [limit]).fetchall()
    return Changes(
        names,
        counted.get("added", 0),
        counted.get("changed", 0),
        counted.get("removed", 0),
        list(_changes(names, found)),
    )


def _changes(names: Sequence[str], found: Sequence[tuple[Kind, Any, Any]]) -> Iterator[Change]:
    for kind, old, new in found:
        before, after = (dict(zip(names, row, strict=True)) for row in (old, new))
        yield Change(
            kind, None if kind == "added" else before, None if kind == "removed" else after
        )
