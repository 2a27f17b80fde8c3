"""A log of test runs into an empty lake, against DuckDB alone; and its next lines.

The baseline does what a person would write in DuckDB for the same rows: it repairs each line, reads
it with the columns' types (a bad line stops it), computes its position and writes Parquet,
compressed like the lake's. The project does all of `load_log`: it copies the lines, tells which
of them cannot be used, and makes both commits of each part.
"""

import shutil
from itertools import islice
from pathlib import Path

import duckdb

from benchmarks.context import Context
from benchmarks.subjects.homes import lake_of, settings_of
from warehouse_assets.defs.school.family import TEST_RUN_LINES
from warehouse_assets.ingest.loaded import Loaded
from warehouse_assets.ingest.log import load_log
from warehouse_assets.ingest.log_files import LogSource
from warehouse_assets.settings import Settings

_NEXT_LINES = 1000


def duckdb_alone(context: Context) -> None:
    """Measure DuckDB, with its defaults, in a process with nothing else to do."""
    target = context.folder / "test_runs.parquet"
    with context.measuring(), duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(
            rf"""COPY (
                SELECT log_position, run.student_id, run.lesson_id, run.lesson_title,
                    CAST(tests.passed AS BIGINT) AS tests_passed,
                    CAST(tests.total AS BIGINT) AS tests_total,
                    tests.passed = tests.total AS is_completed
                FROM (
                    SELECT *, regexp_extract(run.result, '(\d+)(?:/| out of )(\d+)',
                        ['passed', 'total']) AS tests
                    FROM (
                        SELECT CAST(sum(strlen(line) + 1) OVER (ROWS UNBOUNDED PRECEDING) AS BIGINT)
                                - strlen(line) - 1 AS log_position,
                            json_transform(replace(line, ', "student_id", ', ', "student_id": '),
                                '{{"result": "VARCHAR", "student_id": "BIGINT",
                                    "lesson_id": "BIGINT", "lesson_title": "VARCHAR"}}') AS run
                        FROM read_csv('{context.data.log_file}', columns = {{line: 'VARCHAR'}},
                            auto_detect = false, header = false, delim = chr(1), quote = '',
                            escape = '')
                    )
                )
            ) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"""
        )


def catch_up_lines(context: Context) -> None:
    """Measure `load_log` of the whole log."""
    settings = settings_of(context.folder / "home")
    with context.measuring():
        taken = _take(settings, context.data.log_file)
    assert taken.records == context.data.lines


def next_template(context: Context, percent: int) -> None:
    """Make a lake that holds a log with that share of all lines."""
    settings = settings_of(context.templates / f"log-{percent}")
    log = settings.test_runs_log
    log.parent.mkdir(parents=True)
    with context.data.log_file.open("rb") as lines, log.open("wb") as stream:
        stream.writelines(islice(lines, context.data.lines * percent // 100))
    _take(settings, log)


def next_lines(context: Context, percent: int) -> None:
    """Measure `load_log` of the next lines of that log."""
    settings = settings_of(context.folder / "home")
    shutil.copytree(context.templates / f"log-{percent}", settings.home)
    log = settings.test_runs_log
    with context.data.log_file.open("rb") as lines, log.open("ab") as stream:
        stream.writelines(islice(lines, _NEXT_LINES))
    with context.measuring():
        taken = _take(settings, log)
    assert (taken.records, taken.restarts) == (_NEXT_LINES, 0)
    context.details["MB read"] = context.bytes_read / 1e6


def _take(settings: Settings, log: Path) -> Loaded:
    source = LogSource(log, is_given=True, setting="TEST_RUNS_LOG")
    return load_log(lake_of(settings), source, TEST_RUN_LINES)
