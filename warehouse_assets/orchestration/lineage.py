"""From which columns of other tables each column of a computed table follows."""

import json
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import dagster as dg
from sqlalchemy import Table

from warehouse_assets.tables import column_names, duckdb_type

_Columns = Mapping[str, Sequence[tuple[str, str]]]


def column_lineage(
    folder: Path, table: Table, reads: Sequence[Table], query: str
) -> dg.TableColumnLineage:
    """The lineage of the columns of `table`, which `query` computes from `reads`.

    To find it takes a second at first, for the library that parses SQL is large; so it is kept in
    `folder` until the SELECT or a declaration changes.
    """
    declared = [(str(one.name), column_names(one)) for one in (table, *reads)]
    key = zlib.crc32(f"{query} {declared}".encode())
    kept = folder / f"{table.name}-{key}.json"
    try:
        columns: _Columns = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        columns = _columns(table, tuple(reads), query)
        folder.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(columns), encoding="utf-8")
    return dg.TableColumnLineage(
        {
            name: [dg.TableColumnDep(dg.AssetKey(read), column) for read, column in follows]
            for name, follows in columns.items()
        }
    )


@cache
def _columns(table: Table, reads: tuple[Table, ...], query: str) -> _Columns:
    from sqlglot import exp
    from sqlglot.lineage import lineage

    # Names in SQL are of no case; those of the declarations are.
    names = {
        (str(read.name).lower(), column.lower()): (str(read.name), column)
        for read in reads
        for column in column_names(read)
    }
    types = {
        str(read.name): {column.name: duckdb_type(column) for column in read.columns}
        for read in reads
    }
    nodes = lineage(None, query, types, dialect="duckdb")
    if not isinstance(nodes, dict):
        raise TypeError(f"the SELECT of {table.name} has no columns")
    found: dict[str, list[tuple[str, str]]] = {}
    for column in column_names(table):
        leaves = [leaf for leaf in nodes[column].walk() if isinstance(leaf.source, exp.Table)]
        told = {
            (leaf.source.name.lower(), leaf.name.rpartition(".")[2].strip('"')) for leaf in leaves
        }
        found[column] = sorted(names[one] for one in told & names.keys())
    return found
