"""The lines of the feed on their way into the lake: what each says, and whether it counts.

Each line is read by the reader that the running average uses, and judged by its arithmetic, which
goes on from what the lake holds of the customers. So both agree on every line.
"""

import csv
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from warehouse_assets.deliveries import records
from warehouse_assets.deliveries.average import BEGINNING, RunningAverage
from warehouse_assets.deliveries.tables import DELIVERIES
from warehouse_assets.lake import Lake
from warehouse_assets.sources.log_catch_up import LogKind
from warehouse_assets.sources.log_lines import LINES, create_lines
from warehouse_assets.sources.log_spool import SpooledLines
from warehouse_assets.sources.units import REJECTED, STAGED, create_stage
from warehouse_assets.sources.unknown_fields import note_names

_LINES_TOGETHER = 10_000
_STEPS = "_steps"
_STANDING = f"""SELECT customer, max(struct_pack(at := occurred_at, step := delivery_step)) AS last
    FROM deliveries SEMI JOIN {_STEPS} USING (customer)
    WHERE delivery_step IN ({records.FIRST_STEP}, {records.LAST_STEP})
        AND occurred_at >= horizon_at AND newest_at >= $horizon
    GROUP BY customer"""


def delivery_lines(lake: Lake, open_for: timedelta) -> LogKind:
    """The feed of deliveries, as it is taken into `lake`.

    Args:
        open_for: for how long, in the time of the records, a delivery may stay open.
    """

    def stage(connection: duckdb.DuckDBPyConnection, spooled: SpooledLines) -> None:
        lake.view_newest(connection, DELIVERIES)
        create_stage(connection, DELIVERIES)
        read = spooled.path.with_name("steps.csv")
        average = _newest_of_the_lake(connection, open_for)
        _read_lines(connection, create_lines(connection, spooled), read, average.newest)
        connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE {_STEPS} AS SELECT * FROM read_csv(?, header = false,
            columns = {{log_position: 'BIGINT', customer: 'BIGINT', delivery_step: 'BIGINT',
                occurred_at: 'TIMESTAMP', newest_at: 'TIMESTAMP'}}, auto_detect = false)""",
            [str(read)],
        )
        _recall(connection, average)
        _judge(connection, average)
        connection.execute(f"DROP TABLE {LINES}")

    return LogKind(str(DELIVERIES.name), DELIVERIES, stage)


def _newest_of_the_lake(
    connection: duckdb.DuckDBPyConnection, open_for: timedelta
) -> RunningAverage:
    average = RunningAverage(open_for)
    (newest,) = connection.execute("SELECT max(newest_at) FROM deliveries").fetchall()[0]
    average.newest = newest or BEGINNING
    return average


def _read_lines(
    connection: duckdb.DuckDBPyConnection, relations: Iterable[str], path: Path, newest: datetime
) -> None:
    """Write what the lines say to a file, and those that cannot be read to `REJECTED`."""
    lines = " UNION ALL ".join(f"SELECT position, line, problem FROM {r}" for r in relations)
    found = connection.execute(f"{lines} ORDER BY position")
    latest = records.latest_now()
    rejected: list[tuple[int, str, str]] = []
    unknown: set[str] = set()
    with path.open("w", encoding="ascii", newline="") as stream:
        writer = csv.writer(stream)
        while batch := found.fetchmany(_LINES_TOGETHER):
            for position, line, problem in batch:
                if problem is None and not (line or "").strip():
                    continue
                if problem is not None:
                    rejected.append((position, problem, line))
                    continue
                try:
                    customer, step, at = records.read_line(line, latest, unknown)
                except records.RecordError as error:
                    rejected.append((position, str(error), line))
                    continue
                newest = max(newest, at)
                writer.writerow((position, customer, step, at, newest))
    note_names(connection, unknown)
    _reject(connection, rejected)


def _recall(connection: duckdb.DuckDBPyConnection, average: RunningAverage) -> None:
    """Give `average` the times of the customers as the lake has them."""
    horizon = average.newest - min(average.open_for, average.newest - BEGINNING)
    found = connection.execute(_STANDING, {"horizon": horizon})
    while batch := found.fetchmany(_LINES_TOGETHER):
        for customer, last in batch:
            is_open = last["step"] == records.FIRST_STEP
            (average.opened if is_open else average.closed)[customer] = last["at"]


def _judge(connection: duckdb.DuckDBPyConnection, average: RunningAverage) -> None:
    """Fill `STAGED` with the steps, and reject those that count for nothing."""
    reasons: list[tuple[int, str, str]] = []
    found = connection.execute(
        f"SELECT log_position, customer, delivery_step, occurred_at FROM {_STEPS} ORDER BY 1"
    )
    while batch := found.fetchmany(_LINES_TOGETHER):
        for position, customer, step, at in batch:
            if reason := average.add(customer, step, at):
                reasons.append((position, reason, ""))
    _reject(connection, reasons)
    connection.execute(
        f"""INSERT INTO {STAGED} BY NAME
        SELECT *, greatest(newest_at - to_microseconds($open_us), $beginning) AS horizon_at,
            log_position IN (SELECT position FROM {REJECTED}) AS is_rejected
        FROM {_STEPS} ORDER BY log_position""",
        {"open_us": average.open_for // timedelta(microseconds=1), "beginning": BEGINNING},
    )
    connection.execute(
        f"""UPDATE {REJECTED} SET raw = line FROM {LINES} AS lines
        WHERE raw = '' AND {REJECTED}.position = lines.position"""
    )


def _reject(connection: duckdb.DuckDBPyConnection, rejected: list[tuple[int, str, str]]) -> None:
    if rejected:
        rows = [
            (position, reason, raw.rstrip().replace("\0", "\N{REPLACEMENT CHARACTER}"))
            for position, reason, raw in rejected
        ]
        connection.executemany(
            f"INSERT INTO {REJECTED} (position, reason, raw) VALUES (?, ?, ?)", rows
        )
