"""In what two versions of a table differ: rows added, removed, and changed, of a key, old to new.

Files that both versions have hold the same rows; only the others are read.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import duckdb
from deltalake import DeltaTable
from sqlalchemy import Table

from warehouse_assets.catalogue import order_of, reads_of
from warehouse_assets.history.as_of import Handles, fetch, view
from warehouse_assets.lake import Lake, is_merged, names_of, view_changes
from warehouse_assets.questions import Question
from warehouse_assets.tables import aggregated, aggregates, column_names, identifiers, key_names

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


Side = Literal["old", "new"]
SIDES: tuple[Side, Side] = ("old", "new")


def find_difference(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    declaration: Table,
    before: DeltaTable | None,
    after: DeltaTable | None,
    choose: Callable[[Side, str], str] = lambda _, relation: relation,
    compared: Sequence[str] | None = None,
    looked_at: dict[str, list[str]] | None = None,
) -> str:
    """Make the relations `_old_TABLE` and `_new_TABLE` of the rows in which both differ.

    Args:
        choose: gives SQL for the rows that are wanted of a relation of rows of one side.
        compared: columns in which rows of a key must differ; None is any.
        looked_at: for who asks of the same versions again: what was found, by the table's name.

    Returns:
        A relation of the new rows with the columns at least by which they are counted and put in
        order: to read whole rows of millions takes longer.
    """
    name, keys = str(declaration.name), identifiers(key_names(declaration))
    looked_at = {} if looked_at is None else looked_at
    if name not in looked_at:
        looked_at[name] = _changed_files(lake, connection, declaration, before, after)
    relations = looked_at[name]
    chosen = [choose(*pair) for pair in zip(SIDES, relations, strict=True)]
    if before is None or after is None:
        for side, relation, own in zip(SIDES, relations, chosen, strict=True):
            rows = own
            if keys and own != relation:  # which is looked for once, and not whenever it is read
                some = f'"_chosen_{side}_{name}"'
                counted = [name for name in ("arrival",) if name in declaration.columns]
                brief = [str(column.name) for column in order_of(declaration)] + counted
                connection.execute(
                    f"CREATE OR REPLACE TEMP TABLE {some} AS SELECT {identifiers(brief)} FROM {own}"
                )
                rows = f"{relation} SEMI JOIN {some} USING ({keys})"
            connection.execute(f'CREATE OR REPLACE TEMP VIEW "_{side}_{name}" AS FROM {rows}')
        return f'"_chosen_new_{name}"' if keys and chosen[1] != relations[1] else f'"_new_{name}"'
    columns = identifiers(column_names(declaration))
    if keys:
        some = columns
        if compared is not None:
            some = identifiers(list(dict.fromkeys([*key_names(declaration), *compared])))
        old, new = (f"(SELECT {some} FROM {own})" for own in chosen)
        _except(connection, old, new, "_chosen")
        connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE _keys AS
            SELECT {keys} FROM _old__chosen UNION SELECT {keys} FROM _new__chosen"""
        )
        chosen = [f"(FROM {relation} SEMI JOIN _keys USING ({keys}))" for relation in relations]
    old, new = (f"(SELECT {columns} FROM {own})" for own in chosen)
    _except(connection, old, new, name)
    return f'"_new_{name}"'


def _changed_files(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    declaration: Table,
    before: DeltaTable | None,
    after: DeltaTable | None,
) -> list[str]:
    """Relations of the rows before and after that may differ: those of files of one side only.

    Of these the change data feed may tell which.
    """
    name, table = str(declaration.name), lake.table(declaration)
    files = [set(names_of(handle)) if handle else set[str]() for handle in (before, after)]
    changed = [files[0] - files[1], files[1] - files[0]]
    relations = [f'"_all_{side}_{name}"' for side in SIDES]
    keys = identifiers(key_names(declaration))
    for side, own in zip(SIDES, changed, strict=True):
        lake.view_files(connection, declaration, table.paths(sorted(own)), f"_all_{side}_{name}")
    if not aggregates(declaration):
        if before is None or after is None or not (keys and is_merged(after, before.version())):
            return relations
        if not view_changes(connection, after, before.version(), "_changed"):
            return relations
        for side, relation in zip(SIDES, relations, strict=True):
            connection.execute(
                f"""CREATE OR REPLACE TEMP TABLE "_few_{side}_{name}" AS
                FROM {relation} SEMI JOIN _changed USING ({keys})"""
            )
        return [f'"_few_{side}_{name}"' for side in SIDES]
    # Partial rows say of which keys the sum may have changed.
    both = " UNION ".join(f"SELECT {keys} FROM {relation}" for relation in relations)
    connection.execute(f'CREATE OR REPLACE TEMP TABLE "_keys_{name}" AS {both}')
    for side, own in zip(SIDES, files, strict=True):
        partial = f"_partial_{side}_{name}"
        lake.view_files(connection, declaration, table.paths(sorted(own)), partial)
        some = f'(FROM "{partial}" SEMI JOIN "_keys_{name}" USING ({keys}))'
        rows = aggregated(declaration, some)
        connection.execute(f'CREATE OR REPLACE TEMP VIEW "_sum_{side}_{name}" AS {rows}')
    return [f'"_sum_{side}_{name}"' for side in SIDES]


def changes_of(
    connection: duckdb.DuckDBPyConnection, declaration: Table, limit: int, brief: str = ""
) -> Changes:
    """What `find_difference` found of a table, in the order of its key.

    Args:
        brief: the relation that it returned.
    """
    names, keys = column_names(declaration), key_names(declaration)
    order = [str(column.name) for column in order_of(declaration)] or names
    return _listed(connection, names, keys, order, str(declaration.name), limit, brief)


def _except(connection: duckdb.DuckDBPyConnection, old: str, new: str, name: str) -> None:
    """Make `_old_NAME` of what of `old` is not in `new`, and `_new_NAME` the other way round."""
    for side, own, other in zip(SIDES, (old, new), (new, old), strict=True):
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
    brief: str = "",
) -> Changes:
    old, new = (identifiers(names, f"{side}.") for side in SIDES)
    same = " AND ".join(f'old."{key}" = new."{key}"' for key in keys) or "false"
    sort = ", ".join(f'coalesce(new."{column}", old."{column}")' for column in order)
    found = f"""SELECT CASE WHEN old._is_there IS NULL THEN 'added'
            WHEN new._is_there IS NULL THEN 'removed' ELSE 'changed' END AS _kind,
            row({old}) AS _old, row({new}) AS _new
        FROM (SELECT *, true AS _is_there FROM "_old_{name}") AS old
        FULL JOIN (SELECT *, true AS _is_there FROM "_new_{name}") AS new ON {same}
        ORDER BY {sort}, _kind DESC"""
    if not connection.execute(f'SELECT 1 FROM "_old_{name}" LIMIT 1').fetchall():
        # Millions of rows that are there now need not be joined with nothing.
        return _all_added(connection, names, keys, order, name, limit, brief)
    counted = dict(
        connection.execute(f"SELECT _kind, count(*) FROM ({found}) GROUP BY _kind").fetchall()
    )
    some = connection.execute(f"{found} LIMIT {limit}").fetchall()
    return Changes(
        names,
        counted.get("added", 0),
        counted.get("changed", 0),
        counted.get("removed", 0),
        list(_changes(names, some)),
    )


def _all_added(
    connection: duckdb.DuckDBPyConnection,
    names: Sequence[str],
    keys: Sequence[str],
    order: Sequence[str],
    name: str,
    limit: int,
    brief: str,
) -> Changes:
    rows, sort = f'"_new_{name}"', identifiers(order)
    brief = brief or rows
    ((number,),) = connection.execute(f"SELECT count(*) FROM {brief}").fetchall()
    if keys:  # of the others their long texts need not be read
        first = f"SELECT {identifiers(order)} FROM {brief} ORDER BY {sort} LIMIT {limit}"
        rows = f"{rows} SEMI JOIN ({first}) USING ({identifiers(keys)})"
    columns = identifiers(names)
    found = connection.execute(f"SELECT {columns} FROM {rows} ORDER BY {sort} LIMIT {limit}")
    added = [Change("added", None, dict(zip(names, row, strict=True))) for row in found.fetchall()]
    return Changes(names, number, 0, 0, added)


def _changes(names: Sequence[str], found: Sequence[tuple[Kind, Any, Any]]) -> Iterator[Change]:
    for kind, old, new in found:
        before = None if kind == "added" else dict(zip(names, old, strict=True))
        after = None if kind == "removed" else dict(zip(names, new, strict=True))
        yield Change(kind, before, after)
