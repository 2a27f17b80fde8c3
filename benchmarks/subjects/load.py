"""A large file of votes into an empty lake, against DuckDB alone.

The baseline does what a person would write in DuckDB for the same rows: it reads the file with the
columns' types (a bad line stops it), keeps the newest row of each id and writes Parquet, compressed
like the lake's. The project does all of `catch_up`: it takes the file's hash, tells which records
cannot be used, compares with the table, makes both commits and moves the file to the archive.
"""

import duckdb

from benchmarks.context import Context
from benchmarks.subjects.homes import inbox_of, lake_of, settings_of
from warehouse_assets.defs.forum.family import VOTES_FILES
from warehouse_assets.ingest.files import load_files


def duckdb_alone(context: Context) -> None:
    """Measure DuckDB, with its defaults, in a process with nothing else to do."""
    target = context.folder / "votes.parquet"
    with context.measuring(), duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(
            f"""COPY (
                FROM read_json('{context.data.votes_file}', format = 'newline_delimited',
                    columns = {{Id: 'BIGINT', PostId: 'BIGINT', VoteTypeId: 'BIGINT',
                        UserId: 'BIGINT', BountyAmount: 'BIGINT', CreationDate: 'TIMESTAMP'}})
                QUALIFY row_number() OVER (PARTITION BY Id ORDER BY CreationDate DESC) = 1
            ) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"""
        )


def catch_up_votes(context: Context) -> None:
    """Measure `catch_up` of the file in an inbox."""
    settings = settings_of(context.folder / "home")
    lake, inbox = lake_of(settings), inbox_of(settings, [context.data.votes_file])
    with context.measuring():
        taken = load_files(lake, inbox, VOTES_FILES)
    assert taken.written.inserted == context.data.votes
