"""A failed blocking check holds for what a daemon starts by itself, too."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets.defs.forum.tables import VOTES
from warehouse_assets_tests.house import FORUM, House, post, vote
from warehouse_assets_tests.integration.processes import BIN, REPOSITORY
from warehouse_assets_tests.orchestration.lake_rows import add_rows
from warehouse_assets_tests.orchestration.runs import evaluated, failed, materialised

_ENDED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
_LONGEST_SECONDS = 600
DEPENDENT = "votes_per_post_per_week"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A warehouse whose history is on disk, where a daemon finds it; no schedule is due."""
    home = tmp_path / "home"
    history = home / "dagster"
    history.mkdir(parents=True)
    (history / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    monkeypatch.setenv("DAGSTER_HOME", str(history))
    with dg.DagsterInstance.get() as instance:
        never = {"CATCH_UP_CRON": "0 0 29 2 *", "MAINTENANCE_CRON": "0 0 29 2 *"}
        yield House(home, instance, **never)


@contextmanager
def _daemon(house: House) -> Iterator[Callable[[Callable[[], bool]], None]]:
    """A running daemon; the function waits until something is so."""
    told = house.settings.home / "daemon.txt"
    with (
        told.open("w") as output,
        subprocess.Popen(
            [BIN / "dagster-daemon", "run", "-m", "warehouse_assets.definitions"],
            env={**os.environ, **house.environment, "PYTHONPATH": str(REPOSITORY)},
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):

        def wait(is_so: Callable[[], bool]) -> None:
            deadline = time.monotonic() + _LONGEST_SECONDS
            while not is_so():
                assert process.poll() is None, told.read_text()
                assert time.monotonic() < deadline, told.read_text()
                time.sleep(0.2)

        try:
            yield wait
        finally:
            process.terminate()


def _looks(house: House, since: float) -> int:
    """How often the automation has looked at all assets, beginning after the time `since`."""
    return sum(
        tick.timestamp > since and tick.status.value != "STARTED"
        for state in house.instance.all_instigator_state()
        if state.name == "follow_sources"
        for tick in house.instance.get_ticks(state.instigator_origin_id, state.selector_id)
    )


def _all_runs_have_ended(house: House) -> bool:
    return all(run.status in _ENDED for run in house.instance.get_runs())


def _votes_published(house: House) -> int:
    return sum(votes for (votes,) in house.published(DEPENDENT, "votes"))


def test_the_daemon_computes_what_depends_on_a_table_when_its_check_passes_again(
    kept: House,
) -> None:
    kept.deliver("posts.jsonl", [post(1), post(2)])
    kept.deliver("votes.jsonl", [vote(n, 1) for n in range(1, 21)])
    assert kept.run(*(str(table.name) for table in FORUM)).success
    with _daemon(kept) as wait:
        wait(lambda: _looks(kept, 0) > 0)

        five = [
            {"id": n, "post_id": 1, "creation_date": "2022-01-03", "arrival": 1}
            for n in range(1, 6)
        ]
        add_rows(kept, "votes", *five)
        result = kept.run("votes")
        assert materialised(result) == {"votes"}
        assert failed(evaluated(result)) == {"votes.key_is_unique"}

        at = time.time()
        wait(lambda: _looks(kept, at) > 1 and _all_runs_have_ended(kept))
        event = kept.instance.get_latest_materialization_event(dg.AssetKey(DEPENDENT))
        assert event is not None
        assert event.timestamp < at
        assert _votes_published(kept) == 20

        votes = kept.lake.table(VOTES).open()
        votes.restore(votes.version() - 1)
        kept.deliver("votes-2.jsonl", [vote(21, 2)])
        assert kept.run("votes").success

        wait(lambda: _votes_published(kept) == 21 and _all_runs_have_ended(kept))
