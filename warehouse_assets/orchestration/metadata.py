"""What the Dagster UI shows of a table: columns and what they follow from, size, a preview."""

import json
import warnings
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from deltalake import DeltaTable
from sqlalchemy import Table

from warehouse_assets.ingest.loaded import Loaded
from warehouse_assets.lake import Lake
from warehouse_assets.lake.storage import Place, read_whole, write_whole
from warehouse_assets.tables import aggregates, column_names, duckdb_type, identifiers, key_names

# Of 10,000 small files loaded at once not all can be named.
_MOST_FILES_NAMED = 1000
_PREVIEW_ROWS = 5
_PREVIEW_COLUMNS = 12
_MOST_ROWS_TO_SORT = 1_000_000  # of more, which rows come first is not worth reading all of them
_MOST_CHARACTERS_IN_A_CELL = 80
_CHART_PIXELS = 420  # as wide as the column that it is shown in

_Columns = Mapping[str, Sequence[tuple[str, str]]]


def loaded_metadata(loaded: Loaded) -> dict[str, Any]:
    """What a load did, whatever the source."""
    return {
        "is_source_missing": loaded.is_missing,
        "is_source_unchanged": loaded.is_unchanged_source,
        "records_taken": loaded.records,
        "records_rejected": loaded.rejected,
        "bytes_read": loaded.bytes_read,
        **({"pages_read": loaded.pages_read} if loaded.pages_read else {}),
        **({"unknown_fields": list(loaded.unknown_fields)} if loaded.unknown_fields else {}),
    }


def files_metadata(loaded: Loaded) -> dict[str, Any]:
    """What a load of files did."""
    return {
        "files_taken": len(loaded.files),
        "files_known_already": len(loaded.known),
        "files_still_being_written": len(loaded.unfinished),
        "files_refused": first_of(loaded.refused),
        **loaded_metadata(loaded),
        "units": [unit.name for unit in loaded.files[:_MOST_FILES_NAMED]],
    }


def first_of(reasons: Mapping[str, str]) -> dict[str, str]:
    """As many of the files with reasons as can be named."""
    return dict(islice(reasons.items(), _MOST_FILES_NAMED))


def log_metadata(loaded: Loaded) -> dict[str, Any]:
    """What a load of a log did."""
    return {
        **loaded_metadata(loaded),
        "log_position": loaded.position,
        "log_restarts": loaded.restarts,
        "bytes_of_unfinished_line": loaded.lag,
    }


def definition_metadata(table: Table) -> dict[str, Any]:
    """Metadata of the definition of the asset that holds `table`.

    Raises:
        TypeError: the table or a column has no comment; the message names it.
    """
    wanting = [f"{table.name}.{c.name}" for c in table.columns if not (c.comment or "").strip()]
    if not (table.comment or "").strip():
        wanting.insert(0, f"the table {table.name}")
    if wanting:
        raise TypeError(
            f'What it means is not said of {", ".join(wanting)}. Give each a comment="…" in its '
            "declaration: it is shown in the UI, the warehouse and the documentation."
        )
    keys = set(key_names(table))
    columns = [
        dg.TableColumn(
            column.name,
            type=duckdb_type(column),
            description=column.comment,
            constraints=dg.TableColumnConstraints(
                nullable=bool(column.nullable),
                unique=len(keys) == 1 and column.name in keys,
            ),
        )
        for column in table.columns
    ]
    metadata: dict[str, Any] = {
        "dagster/column_schema": dg.TableSchema(columns),
        "dagster/table_name": str(table.name),
    }
    if "answers" in table.info:
        metadata["answers"] = table.info["answers"]
    return metadata


def sql_metadata(file: Path, query: str) -> dict[str, Any]:
    """The SELECT that computes a table, and a link to its file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # links to code are, since 1.7
        link = dg.LocalFileCodeReference(file_path=str(file), line_number=1, label=file.name)
        links = dg.CodeReferencesMetadataValue(code_references=[link])
    return {"sql": dg.MetadataValue.md(f"```sql\n{query}\n```"), "dagster/code_references": links}


def column_lineage(
    folder: Place, table: Table, reads: Sequence[Table], query: str
) -> dg.TableColumnLineage:
    """The lineage of the columns of `table`, which `query` computes from `reads`.

    To find it takes a second at first, for the library that parses SQL is large; so it is kept in
    `folder` until the SELECT or a declaration changes.
    """
    declared = [(str(one.name), column_names(one)) for one in (table, *reads)]
    key = zlib.crc32(f"{query} {declared}".encode())
    kept = folder / f"{table.name}-{key}.json"
    try:
        columns: _Columns = json.loads(read_whole(kept) or b"")
    except (OSError, ValueError):
        columns = _columns(table, tuple(reads), query)
        write_whole(kept, json.dumps(columns).encode())
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


def table_metadata(
    lake: Lake, table: Table, handle: DeltaTable
) -> tuple[dict[str, Any], dg.MetadataValue[Any]]:
    """Metadata of the version of `table` that `handle` stands at, and a preview of its rows.

    Of a table with partial rows, the rows are those: counting what they add up to takes as long
    as adding them up.
    """
    stored, count = lake.table(table), handle.count()
    files, keys = stored.files(handle), key_names(table)
    with lake.connect() as connection:
        if count <= _MOST_ROWS_TO_SORT:
            lake.view(connection, table, handle)
        else:
            lake.view_files(connection, table, files, str(table.name))
        names = [column.name for column in table.columns][:_PREVIEW_COLUMNS]
        rows = connection.sql(f'FROM "{table.name}"')
        if keys and count <= _MOST_ROWS_TO_SORT:
            rows = rows.order(identifiers(keys))
        preview = markdown(rows.limit(_PREVIEW_ROWS).select(identifiers(names)))
    is_partial = bool(aggregates(table)) and len(files) > 1
    size = {
        "partial_rows" if is_partial else "dagster/row_count": count,
        "lake_version": handle.version(),
        "dagster/uri": str(stored.path),
    }
    return size, dg.MetadataValue.md(preview)


def chart_metadata(table: Table, service: str) -> dict[str, Any]:
    """The chart of what the table holds, if there is one, as the service at `service` draws it.

    It is not kept in each materialisation: in Dagster's history that would soon be gigabytes.
    """
    if "chart" not in table.info and "picture" not in table.info:
        return {}
    address = service + table.info.get("picture", f"/answers/{table.name}/chart.svg")
    missing = f"The chart is here while `warehouse serve` runs at {service}."
    picture = f"![{missing}]({address}?width={_CHART_PIXELS})"
    return {"chart": dg.MetadataValue.md(f"{picture}\n\n[{address}]({address})")}


def markdown(relation: duckdb.DuckDBPyRelation) -> str:
    """The rows of `relation` as a table in Markdown, long text cut."""
    names, rows = relation.columns, relation.fetchall()
    lines = [names, ["---"] * len(names), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    text = "" if value is None else " ".join(str(value).split()).replace("|", "\\|")
    if len(text) > _MOST_CHARACTERS_IN_A_CELL:
        return text[: _MOST_CHARACTERS_IN_A_CELL - 1] + "…"
    return text
