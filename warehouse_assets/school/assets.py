"""The assets of the school family."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from warehouse_assets.graph.assets import source_asset, sql_asset
from warehouse_assets.graph.metadata import log_metadata
from warehouse_assets.graph.sql_sources import loaded_metadata, sql_source_asset
from warehouse_assets.graph.step import Step
from warehouse_assets.ingest.log_files import LogSource
from warehouse_assets.ingest.log_load import load_log
from warehouse_assets.lake import Written
from warehouse_assets.school.batches import SETTING, BatchesSource, load_batches
from warehouse_assets.school.run_lines import TEST_RUN_LINES
from warehouse_assets.school.sources import STUDENTS_SOURCE
from warehouse_assets.school.tables import (
    BATCH_COMPLETIONS,
    BATCHES,
    LESSON_COMPLETIONS,
    LESSON_TITLES,
    LESSONS,
    STUDENTS,
    TEST_RUNS,
)

GROUP = "school"
_SQL = Path(__file__).parent / "sql"
_LOG_SETTING = "TEST_RUNS_LOG"

_Taken = tuple[Written, Mapping[str, Any]]


def _take_batches(step: Step) -> _Taken:
    settings = step.settings
    source = BatchesSource(
        settings.batches_url,
        settings.batches_timeout_seconds,
        timedelta(hours=settings.batches_overlap_hours),
        settings.batches_pages_per_run,
    )
    loaded = load_batches(step.lake, source, SETTING in settings.given, step.tell, step.progress)
    return loaded.written, {**loaded_metadata(loaded), "pages_read": loaded.pages_read}


def _take_test_runs(step: Step) -> _Taken:
    is_given = _LOG_SETTING in step.settings.given
    source = LogSource(step.settings.test_runs_log, is_given, _LOG_SETTING)
    taken = load_log(step.lake, source, TEST_RUN_LINES, step.tell, step.progress)
    return taken.written, log_metadata(taken)


students = sql_source_asset(STUDENTS_SOURCE, GROUP, ["sqlite"])
batches = source_asset(BATCHES, GROUP, ["json"], _take_batches)
test_runs = source_asset(TEST_RUNS, GROUP, ["log"], _take_test_runs)
lessons = sql_asset(LESSONS, [TEST_RUNS], GROUP, _SQL)
lesson_titles = sql_asset(LESSON_TITLES, [TEST_RUNS], GROUP, _SQL)
lesson_completions = sql_asset(
    LESSON_COMPLETIONS, [TEST_RUNS, LESSON_TITLES, LESSONS], GROUP, _SQL, computed_per="student_id"
)
batch_completions = sql_asset(
    BATCH_COMPLETIONS, [BATCHES, STUDENTS, LESSON_COMPLETIONS], GROUP, _SQL
)

ASSETS = (
    students,
    batches,
    test_runs,
    lessons,
    lesson_titles,
    lesson_completions,
    batch_completions,
)
