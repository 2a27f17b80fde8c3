"""What maintenance deletes of Dagster's history."""

import os
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

import warehouse_assets_tests
from warehouse_assets.orchestration.history import forget_runs

_ROOT = Path(warehouse_assets_tests.__file__).parents[1]

# Its types are not installed.
yaml: Any = import_module("yaml")


@dg.asset
def cats(context: dg.AssetExecutionContext) -> None:
    context.log.info("one cat")


@dg.op
def say() -> None:
    pass


@dg.job(executor_def=dg.in_process_executor)
def saying() -> None:
    say()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """A history in files, as `dagster dev` has it by default."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def files_of(folder: Path, run_id: str) -> list[Path]:
    """Files that hold something of a run."""
    return [path for path in folder.rglob("*") if run_id in str(path) and path.is_file()]


def test_runs_that_ended_long_ago_are_deleted_with_all_that_is_of_them(
    tmp_path: Path, local: dg.DagsterInstance
) -> None:
    old = saying.execute_in_process(instance=local).run_id
    replaced, last = (dg.materialize([cats], instance=local).run_id for _ in range(2))
    unfinished = local.add_run(dg.DagsterRun("saying", status=dg.DagsterRunStatus.STARTED)).run_id
    assert files_of(tmp_path, old)
    assert forget_runs(local, 1) == 0

    assert forget_runs(local, 0) == 2

    # Without its last materialisation Dagster would take the asset for one never made.
    assert {run.run_id for run in local.get_runs()} == {last, unfinished}
    assert [*files_of(tmp_path, old), *files_of(tmp_path, replaced)] == []
    event = local.get_latest_materialization_event(cats.key)
    assert event is not None
    assert event.run_id == last
    assert local.all_logs(last) != []


def test_what_sensors_printed_long_ago_is_deleted(local: dg.DagsterInstance) -> None:
    folder = Path(local.storage_directory()) / "repository" / "inbox_sensor" / "17"
    folder.mkdir(parents=True)
    for name, hours in (("1.err", 25), ("1.out", 25), ("2.err", 23), ("1.pickle", 25)):
        (folder / name).touch()
        moment = time.time() - hours * 3600
        os.utime(folder / name, (moment, moment))

    assert forget_runs(local, 1) == 0

    assert sorted(path.name for path in folder.iterdir()) == ["1.pickle", "2.err"]


@pytest.mark.parametrize("name", ["dagster.yaml", "deploy/dagster.yaml"])
def test_the_homes_of_dagster_keep_no_output_and_skipped_ticks_for_a_day(
    tmp_path: Path, name: str
) -> None:
    written = yaml.safe_load((_ROOT / name).read_text("utf-8"))
    for part in ("storage", "local_artifact_storage"):
        del written[part]  # PostgreSQL, and folders of their own
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")

    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        kept = instance.get_settings("retention")
        output = instance.compute_log_manager

    assert type(output).__name__ == "NoOpComputeLogManager"
    assert kept["sensor"]["purge_after_days"]["skipped"] == 1
    assert kept["auto_materialize"]["purge_after_days"]["skipped"] == 1
