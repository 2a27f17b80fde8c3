"""The lines of the feed on their way into the lake: what each says, and whether it counts.

Each line is read by the function that the running average uses, and judged by its arithmetic, which
goes on from what the lake holds of the customers. So both agree on every line.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import duckdb
from arro3.core import Array, DataType, Table

from warehouse_assets.defs.deliveries import records
from warehouse_assets.defs.deliveries.average import BEGINNING, RunningAverage, horizon
from warehouse_assets.defs.deliveries.tables import DELIVERIES
from warehouse_assets.ingest.lines import Lines
from warehouse_assets.ingest.log import LogKind
from warehouse_assets.ingest.staging import REJECTED, STAGED, create_stage, note_names
from warehouse_assets.lake import Lake

_CUSTOMERS_TOGETHER = 10_000
_PART = "_part"
_STANDING = f"""SELECT customer, max(struct_pack(at := occurred_at, step := delivery_step)) AS last
    FROM deliveries
    WHERE delivery_step IN ({records.FIRST_STEP}, {records.LAST_STEP})
        AND occurred_at >= horizon_at AND newest_at >= ?
    GROUP BY customer"""
# Times are texts on their way: Arrow's arrays cannot be made of Python's.
_STEPS = {
    **dict.fromkeys(("log_position", "customer", "delivery_step"), DataType.int64()),
    **dict.fromkeys(("occurred_at", "newest_at", "horizon_at"), DataType.utf8()),
    "is_rejected": DataType.bool(),
}
_REJECTS = {
    "position": DataType.int64(),
    **dict.fromkeys(("reason", "value", "raw"), DataType.utf8()),
}


def delivery_lines(lake: Lake, open_for: timedelta) -> LogKind:
    """The feed of deliveries, as it is loaded into `lake`.

    Args:
        open_for: for how long, in the time of the records, a delivery may stay open.
    """

    def stage(connection: duckdb.DuckDBPyConnection, lines: Iterator[Lines]) -> None:
        create_stage(connection, DELIVERIES)
        lake.view_newest(connection, DELIVERIES)
        average, unknown = _average_of_the_lake(connection, open_for), set[str]()
        for part in lines:
            steps, rejected = _judged(part, average, unknown)
            _insert(connection, STAGED, _STEPS, steps)
            _insert(connection, REJECTED, _REJECTS, rejected)
        note_names(connection, unknown)

    return LogKind(str(DELIVERIES.name), DELIVERIES, stage)


def _average_of_the_lake(
    connection: duckdb.DuckDBPyConnection, open_for: timedelta
) -> RunningAverage:
    """The arithmetic where the lake has left it, as far as steps to come depend on it."""
    average = RunningAverage(open_for)
    (newest,) = connection.execute("SELECT max(newest_at) FROM deliveries").fetchall()[0]
    average.newest = newest or BEGINNING
    found = connection.execute(_STANDING, [horizon(average.newest, open_for)])
    while batch := found.fetchmany(_CUSTOMERS_TOGETHER):
        for customer, last in batch:
            is_open = last["step"] == records.FIRST_STEP
            (average.opened if is_open else average.closed)[customer] = last["at"]
    return average


def _judged(
    lines: Lines, average: RunningAverage, unknown: set[str]
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Rows of `_STEPS` and of `_REJECTS`."""
    steps, rejected = [], []
    fault: tuple[str, str | None] | None
    for position, text, said in records.read_lines(lines, records.latest_now(), unknown):
        if isinstance(said, records.RecordError):
            fault = (said.reason, said.seen)
        else:
            customer, step, at = said
            reason = average.add(customer, step, at)
            fault = (reason, None) if reason else None
            times = at, average.newest, horizon(average.newest, average.open_for)
            steps.append((position, customer, step, *map(str, times), reason is not None))
        if fault:
            raw = text.decode("utf-8").rstrip().replace("\0", "\N{REPLACEMENT CHARACTER}")
            rejected.append((position, *fault, raw))
    return steps, rejected


def _insert(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: Mapping[str, DataType],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    if rows:
        values = zip(zip(*rows, strict=True), columns.values(), strict=True)
        part = Table.from_arrays([Array(*value) for value in values], names=list(columns))
        connection.register(_PART, part)
        connection.execute(f"INSERT INTO {table} BY NAME FROM {_PART}")
        connection.unregister(_PART)
