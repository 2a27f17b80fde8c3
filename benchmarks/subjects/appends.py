"""A table after many small appends and maintenance, against the same rows written at once.

Reading is the sum of every column, which has to read all of the table.
"""

import time

from benchmarks.context import Context
from benchmarks.subjects.homes import lake_of, settings_of
from warehouse_assets.defs.forum.tables import VOTES
from warehouse_assets.lake import append, maintain
from warehouse_assets.tables import column_names

_ROWS_OF_AN_APPEND = 500
_ROWS = """SELECT i AS id, 1 + i * 7919 % 250000 AS post_id, 2 AS vote_type_id, i % 1000 AS user_id,
    NULL AS bounty_amount, TIMESTAMP '2022-01-03' + to_seconds(i) AS creation_date, 1 AS arrival
    FROM range({first}, {last}) AS r(i)"""


def template(context: Context) -> None:
    """Make both tables: `at_once`, and `maintained`, appended to by commits of 500 rows."""
    appends = context.data.changes
    for name, commits in (("at_once", 1), ("maintained", appends)):
        lake = lake_of(settings_of(context.templates / name))
        table = lake.table(VOTES)
        rows = appends // commits * _ROWS_OF_AN_APPEND
        with lake.connect() as connection:
            for number in range(commits):
                query = _ROWS.format(first=number * rows, last=(number + 1) * rows)
                append(connection, table, table.open(), query, {f"file/{number}": number})
        if name == "maintained":
            maintain(lake, table, keep_days=0)


def read(context: Context, table: str) -> None:
    """Measure opening the table's newest version and reading it all."""
    lake = lake_of(settings_of(context.templates / table))
    stored = lake.table(VOTES)
    sums = ", ".join(
        f'sum(epoch_us("{name}"))' if name == "creation_date" else f'sum("{name}")'
        for name in column_names(VOTES)
    )
    with lake.connect() as connection, context.measuring():
        started = time.perf_counter()
        handle = stored.open()
        context.details["seconds to open"] = time.perf_counter() - started
        lake.view(connection, VOTES, handle)
        (rows, *_) = connection.execute(f"SELECT count(*), {sums} FROM votes").fetchall()[0]
    assert rows == context.data.changes * _ROWS_OF_AN_APPEND
    log = list((stored.path / "_delta_log").iterdir())
    context.details["files"] = len(handle.file_uris())
    context.details["files of log"] = len(log)
    context.details["MB of log"] = sum(path.stat().st_size for path in log) / 1e6
