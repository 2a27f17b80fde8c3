"""The school: students, their batches and their test runs."""

from datetime import timedelta
from pathlib import Path

import dagster as dg

from warehouse_assets.defs.school.batches import SETTING, BatchesSource, load_batches
from warehouse_assets.defs.school.checks import CHECKS
from warehouse_assets.defs.school.sources import STUDENTS_SOURCE, TEST_RUN_LINES
from warehouse_assets.defs.school.tables import (
    BATCH_COMPLETIONS,
    BATCHES,
    LESSON_COMPLETIONS,
    LESSON_TITLES,
    LESSONS,
    STUDENTS,
    TEST_RUNS,
)
from warehouse_assets.ingest.load import Loaded
from warehouse_assets.ingest.log_files import LogSource
from warehouse_assets.orchestration.assets import (
    log_asset,
    source_asset,
    sql_asset,
    sql_source_asset,
)
from warehouse_assets.orchestration.families import Family
from warehouse_assets.orchestration.step import Step
from warehouse_assets.settings import Settings

_SQL = Path(__file__).parent / "sql"
_SETTING = "TEST_RUNS_LOG"

_SERVER = dg.AssetSpec(
    "batches_server",
    description="The school's server, which answers `GET /batches` (`BATCHES_URL`).",
    kinds={"json"},
)
_LOG = dg.AssetSpec(
    "test_runs_log",
    description="The log to which the school's tests append a line each (`TEST_RUNS_LOG`).",
    kinds={"log"},
)


def _load_batches(step: Step) -> Loaded:
    settings = step.settings
    source = BatchesSource(
        settings.batches_url,
        settings.batches_timeout_seconds,
        timedelta(hours=settings.batches_overlap_hours),
        settings.batches_pages_per_run,
    )
    return load_batches(step.lake, source, SETTING in settings.given)


def _log(settings: Settings) -> LogSource:
    return LogSource(settings.test_runs_log, _SETTING in settings.given, _SETTING)


FAMILY = Family(
    "school",
    [
        sql_source_asset(STUDENTS_SOURCE, "sqlite", is_watched=False),
        source_asset(BATCHES, _SERVER, _load_batches),
        log_asset(TEST_RUN_LINES, TEST_RUNS, _LOG, _log),
        sql_asset(LESSONS, [TEST_RUNS], _SQL),
        sql_asset(LESSON_TITLES, [TEST_RUNS], _SQL),
        sql_asset(
            LESSON_COMPLETIONS,
            [TEST_RUNS, LESSON_TITLES, LESSONS],
            _SQL,
            computed_per="student_id",
        ),
        sql_asset(BATCH_COMPLETIONS, [BATCHES, STUDENTS, LESSON_COMPLETIONS], _SQL),
    ],
    CHECKS,
)
