"""Little memory: a load completes by spilling to disk, or ends in words with nothing half done."""

import json
from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets.lake import Lake
from warehouse_assets.lake import lake as lake_module
from warehouse_assets.runs import failed_steps
from warehouse_assets_tests.house import House, post, vote
from warehouse_assets_tests.integration.state import state_of

pytestmark = pytest.mark.own_duckdb

_VOTES = 60_000


def run_with(
    house: House, megabytes: int, monkeypatch: pytest.MonkeyPatch
) -> dg.ExecuteInProcessResult:
    """A run whose DuckDB may use so much memory."""
    with monkeypatch.context() as patch:
        patch.setattr(lake_module, "SMALLEST_DUCKDB_MEMORY", megabytes * 10**6)
        tight = Lake(house.settings.lake, house.settings.scratch, memory_limit=0)
        return house.run(overrides={"lake": tight}, checks=False)


def test_a_load_that_needs_too_much_memory_says_so_and_one_that_just_fits_gives_the_same(
    house: House, tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    roomy = House(tmp_path / "roomy", instance)
    votes = [vote(number, number % 5000) for number in range(1, _VOTES + 1)]
    posts = [post(number) for number in range(1, 2000)]
    content = "\n".join(map(json.dumps, votes))
    for one in (house, roomy):
        one.deliver("votes.jsonl", content)
        one.deliver("posts.jsonl", posts)

    result = run_with(house, 24, monkeypatch)

    assert not result.success
    reasons = dict(failed_steps(result))
    assert set(reasons) == {"posts", "votes"}
    for reason in reasons.values():
        assert reason.startswith("The run needs more memory than it may use: ")
        assert "Nothing is half done. Raise the setting MEMORY_LIMIT" in reason
    assert house.waiting() == ["posts.jsonl", "votes.jsonl"]
    assert house.archived() == []

    # The smallest memory that settings allow.
    assert run_with(house, 128, monkeypatch).success
    assert roomy.run(checks=False).success

    assert len(house.stored("votes", "id")) == _VOTES
    assert state_of(house) == state_of(roomy)
    assert list(house.settings.scratch.iterdir()) == []
