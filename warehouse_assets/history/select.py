"""What a table's SELECT reads, and from which rows of it each row of the result follows.

DuckDB's own parser tells the first. The second is declared (`tables.Cause`), or follows from the
`GROUP BY` of a SELECT that is nothing else.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
from sqlalchemy import Table

from warehouse_assets.catalogue import SELECTS, TABLES
from warehouse_assets.questions import Cause
from warehouse_assets.tables import column_names, key_names

_BY_NAME = {str(table.name): table for table in TABLES}


@dataclass(frozen=True)
class Select:
    """How a table is computed.

    Args:
        query: its SELECT.
        reads: the tables that it names.
        columns: the columns of each of them that it may use, by the table's name.
        causes: from which rows of them each row follows.
    """

    query: str
    reads: Sequence[Table]
    columns: Mapping[str, Sequence[str]]
    causes: Sequence[Cause]


def select_of(connection: duckdb.DuckDBPyConnection, table: Table) -> Select | None:
    """How `table` is computed; None if it is loaded from a source."""
    path = SELECTS.get(str(table.name))
    if path is None:
        return None
    query = path.read_text(encoding="utf-8")
    tree = json.loads(connection.execute("SELECT json_serialize_sql(?)", [query]).fetchall()[0][0])
    nodes = list(_nodes(tree))
    named = {node["table_name"] for node in nodes if node.get("type") == "BASE_TABLE"}
    reads = [_BY_NAME[name] for name in _BY_NAME if name in named]
    used = {names[-1].lower() for node in nodes if (names := node.get("column_names"))}
    columns = {
        str(read.name): [name for name in column_names(read) if name.lower() in used]
        for read in reads
    }
    causes = table.info.get("causes") or _of_groups(connection, table, reads, tree)
    return Select(query, reads, columns, causes)


def _of_groups(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    reads: Sequence[Table],
    tree: Mapping[str, Any],
) -> Sequence[Cause]:
    """Those of a `GROUP BY` of one table: the rows whose columns give the key; else all rows."""
    node = tree["statements"][0]["node"]
    if len(reads) != 1 or node["type"] != "SELECT_NODE" or node["cte_map"]["map"]:
        return [Cause(str(read.name), "true") for read in reads]
    (read,) = reads
    if any(inner.get("type") == "SUBQUERY" for inner in _nodes(tree)) or not node["group_sets"]:
        return [Cause(str(read.name), "true")]
    known = set(column_names(read))
    for inner in _nodes(tree):
        if (names := inner.get("column_names")) and names[-1] in known:
            inner["column_names"] = ["row", names[-1]]
    given = {
        each["alias"] or each.get("column_names", [""])[-1]: each for each in node["select_list"]
    }
    conditions = [
        f'({_text(connection, tree, given[key])}) = wanted."{key}"' for key in key_names(table)
    ]
    if node["where_clause"] is not None:
        conditions.append(f"({_text(connection, tree, node['where_clause'])})")
    return [Cause(str(read.name), " AND ".join(conditions))]


def _text(
    connection: duckdb.DuckDBPyConnection, tree: Mapping[str, Any], expression: Mapping[str, Any]
) -> str:
    """An expression of a parsed SELECT as SQL."""
    node = tree["statements"][0]["node"]
    alone = {
        **node,
        "select_list": [{**expression, "alias": ""}],
        "from_table": {**node["from_table"], **_NO_TABLE},
        "where_clause": None,
        "group_expressions": [],
        "group_sets": [],
        "modifiers": [],
    }
    sent = json.dumps({**tree, "statements": [{**tree["statements"][0], "node": alone}]})
    ((text,),) = connection.execute(
        "SELECT json_deserialize_sql(CAST(? AS JSON))", [sent]
    ).fetchall()
    return str(text).removeprefix("SELECT ")


_NO_TABLE = {"type": "EMPTY"}


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """All objects of a parsed statement."""
    if isinstance(tree, dict):
        yield tree
    for inner in (
        tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    ):
        yield from _nodes(inner)
