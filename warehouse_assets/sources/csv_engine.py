"""How DuckDB is told to read CSV, and to take values where a statement takes no parameters."""

import json
from collections.abc import Iterator

import duckdb

from warehouse_assets.sources.csv_lines import Layout
from warehouse_assets.sources.csv_split import MOST_RECORD_BYTES
from warehouse_assets.sources.csv_values import text_name

PATHS, ARRIVALS = "_csv_paths", "_csv_arrivals"
"""Variables: the files to read, escaped for glob, and their arrival numbers."""

_ROWS_AT_ONCE = 10_000
# Of the file at once. A quarter of DuckDB's own number: memory that large comes from the system
# each time, which clears it.
_BUFFER_BYTES = 8 * 2**20


def texts_query(layout: Layout, is_one_file: bool, is_parallel: bool) -> str:
    """The texts wanted of the files in the variable `PATHS`, as the file has them, and `arrival`.

    The first line of each file is its header. Nothing is left to detection, and no text of a file
    means anything but itself; an empty field is null.

    Args:
        is_parallel: whether a file may be read in parts. Where one begins amid quotes that hold
            line ends, DuckDB may take these for the ends of records. It then raises
            InvalidInputException for what it reads, or NotImplementedException because the parts
            do not fit.
    """
    place = "1" if is_one_file else "CAST(file_index AS BIGINT) + 1"
    texts = ", ".join(
        f"c{column} AS {text_name(index)}" for index, column in enumerate(layout.indices)
    )
    columns = ", ".join(f"'c{column}': 'VARCHAR'" for column in range(layout.width))
    return f"""SELECT {texts}, getvariable('{ARRIVALS}')[{place}] AS arrival
        FROM read_csv(getvariable('{PATHS}'), columns = {{{columns}}},
            auto_detect = false, header = false, skip = 1, delim = '{layout.delimiter}',
            quote = '"', escape = '"', comment = '', strict_mode = true, null_padding = false,
            max_line_size = {MOST_RECORD_BYTES}, buffer_size = {_BUFFER_BYTES},
            compression = 'uncompressed', hive_partitioning = false, parallel = {is_parallel})"""


def set_variable(
    connection: duckdb.DuckDBPyConnection, name: str, value: object, kind: str
) -> None:
    """Set a variable of DuckDB of a type, or a list of one: COPY takes no parameters in a query.

    The value is handed over as JSON, for DuckDB takes long over the elements of a list of Python.
    """
    structure = json.dumps([kind.removesuffix("[]")] if kind.endswith("[]") else kind)
    connection.execute(
        f"SET VARIABLE {name} = from_json(CAST(? AS JSON), '{structure}')", [json.dumps(value)]
    )


def integers(cursor: duckdb.DuckDBPyConnection) -> Iterator[int]:
    """The only column of a result, which may be long."""
    while rows := cursor.fetchmany(_ROWS_AT_ONCE):
        yield from (number for (number,) in rows)
