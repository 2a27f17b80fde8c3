"""Weeks are computed from files of those weeks alone, and anew when somebody says so."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets.definitions import defs, resources_of
from warehouse_assets.defs import forum
from warehouse_assets.defs.forum.tables import VOTES, VOTES_PER_POST_PER_WEEK
from warehouse_assets.defs.trips.tables import DAILY_TRIPS
from warehouse_assets.lake import Lake, append, rearrange
from warehouse_assets.orchestration.computation import Part, compute
from warehouse_assets.orchestration.recomputing import RECOMPUTE_WEEKS, tags_of
from warehouse_assets.times import Weeks
from warehouse_assets_tests.defs.trips.journeys import content, random_trips
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.house import House, post, vote
from warehouse_assets_tests.lake.tables import Stored

MONDAY = date(2022, 1, 3)
_SQL = (Path(forum.__file__).parent / "sql" / "votes_per_post_per_week.sql").read_text()
_TABLES = (
    "posts",
    "votes",
    "votes_per_post_per_week",
    "mean_votes_per_post_per_week",
    "outlier_weeks",
    "trips",
    "daily_trips",
    "weekly_trips",
    "trip_groups",
)
_PART = Part("post_id", is_of_week=True)  # as the family declares it
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture(params=["yes", "no"])
def kept(
    request: pytest.FixtureRequest, tmp_path: Path, instance: dg.DagsterInstance, engine_url: str
) -> House:
    """Votes and trips of some weeks, in files by week or not, and all that is computed of them."""
    by_week = str(request.param)
    house = House(tmp_path / "home", instance, ENGINE_URL=engine_url, PARTITION_BY_WEEK=by_week)
    days = [str(MONDAY + timedelta(days=9 * number)) for number in range(4)]
    house.deliver("posts.json", [post(1), post(2)])
    house.deliver("votes.json", [vote(n, 1 + n % 2, days[n % 4]) for n in range(1, 13)])
    house.deliver("trips.csv", content(random_trips(1, 40)))
    assert house.run(*_TABLES, checks=False).success
    return house


def recompute(house: House, weeks: Weeks | date) -> dg.ExecuteInProcessResult:
    """Run the job for a range of weeks as the command does, or for one as a backfill does."""
    one, tags = (str(weeks), None) if isinstance(weeks, date) else (None, tags_of(weeks))
    return defs.resolve_job_def(RECOMPUTE_WEEKS).execute_in_process(
        instance=house.instance,
        raise_on_error=False,
        run_config=_QUIET,
        resources=resources_of(house.settings, {}),
        partition_key=one,
        tags=tags,
    )


def changed(result: dg.ExecuteInProcessResult) -> dict[str, int]:
    """How many rows of each table differed, where any did."""
    assert result.success
    found = {}
    for event in result.get_asset_materialization_events():
        told = event.materialization.metadata
        rows = sum(
            int(str(told[f"rows_{how}"].value)) for how in ("inserted", "updated", "deleted")
        )
        if rows:
            found[str(event.materialization.label)] = rows
    return found


def everything(house: House) -> dict[str, Sequence[Any]]:
    """All tables, in the lake and as they are published."""
    tables = {name: house.stored(name) for name in _TABLES}
    published = {f"{n} published": house.published(n) for n in _TABLES if n != "trips"}
    return {**tables, **published}


def test_weeks_that_are_right_stay_as_they_are(kept: House) -> None:
    before, versions = everything(kept), kept.versions()
    assert changed(recompute(kept, Weeks(date(2010, 1, 4), date(2030, 1, 7)))) == {}
    assert changed(recompute(kept, MONDAY)) == {}
    assert everything(kept) == before
    assert {name: kept.versions()[name] for name in versions} == versions


def test_wrong_rows_of_a_week_are_put_right_and_published_and_others_are_not_touched(
    kept: House,
) -> None:
    right = everything(kept)
    later = MONDAY + timedelta(weeks=1)
    table = kept.lake.table(VOTES_PER_POST_PER_WEEK)
    table.open().update(updates={"votes": "votes + 70"})  # of every week
    table.open().delete(f"week_start = DATE '{MONDAY}' AND post_id = 1")
    rows_of_week = sum(1 for row in right["votes_per_post_per_week"] if row[1] == MONDAY)
    wrong_later = [row for row in kept.stored("votes_per_post_per_week") if row[1] == later]

    found = changed(recompute(kept, MONDAY))

    assert found["votes_per_post_per_week"] == rows_of_week
    there = kept.stored("votes_per_post_per_week")
    assert [row for row in there if row[1] == MONDAY] == [
        row for row in right["votes_per_post_per_week"] if row[1] == MONDAY
    ]
    assert [row for row in there if row[1] == later] == wrong_later != []
    assert changed(recompute(kept, Weeks(MONDAY, MONDAY + timedelta(weeks=9)))) != {}
    assert everything(kept) == right
    kept.deliver("votes.json", [vote(99, 2, str(later))])
    assert kept.run(*_TABLES, checks=False).success
    counted = Counter((row[1], row[5].date()) for row in kept.stored("votes"))
    assert sum(row[2] for row in kept.stored("votes_per_post_per_week")) == counted.total() == 13


def test_sums_that_were_added_twice_are_put_right(kept: House) -> None:
    right = everything(kept)
    daily = kept.lake.table(DAILY_TRIPS)
    handle = daily.open()
    with kept.lake.connect() as connection:
        kept.lake.view(connection, daily.declaration, handle)
        append(connection, daily, handle, "FROM daily_trips", {})
    assert kept.run("daily_trips", "weekly_trips", checks=False).success
    assert kept.stored("weekly_trips") != right["weekly_trips"]
    days = [row[1] for row in right["daily_trips"]]

    found = changed(recompute(kept, Weeks.of(min(days), max(days))))

    assert found["daily_trips"] == len(days)
    assert everything(kept) == right
    # What comes then is added once.
    kept.deliver("more.csv", content(random_trips(2, 50)))
    assert kept.run("trips", "daily_trips", "weekly_trips", checks=False).success
    assert sum(row[3] for row in kept.stored("daily_trips")) == 90


def test_what_waits_to_be_computed_is_computed_once(kept: House) -> None:
    kept.deliver("more.csv", content(random_trips(3, 50)))
    kept.deliver("votes.json", [vote(1, 2, str(MONDAY + timedelta(weeks=30)))])
    assert kept.run("trips", "votes", checks=False).success
    days = [row[5] for row in kept.stored("trips")]
    assert changed(recompute(kept, Weeks.of(min(days).date(), max(days).date())))
    assert sum(row[3] for row in kept.stored("daily_trips")) == 90
    assert sum(row[2] for row in kept.stored("votes_per_post_per_week")) == 12
    before = everything(kept)
    assert kept.run(*_TABLES, checks=False).success
    assert kept.stored("daily_trips") == before["daily_trips"]


@pytest.mark.parametrize("kept", ["yes"], indirect=True)
def test_only_files_of_weeks_that_changed_are_read(kept: House) -> None:
    kept.deliver("votes.json", [vote(2, 1, str(MONDAY)), vote(50, 2, str(MONDAY))])
    assert kept.run("votes", checks=False).success
    touched = {"week=2022-01-03", "week=2022-01-17"}  # vote 2 was of 21 January
    folder = folder_of(kept.settings.lake) / "votes"
    away = [path for path in folder.glob("week=*") if path.name not in touched]
    assert len(away) == 2
    for path in away:
        path.rename(folder / f"_{path.name}")
    compute(kept.lake, kept.lake.table(VOTES_PER_POST_PER_WEEK), [VOTES], _SQL, _PART)
    for path in away:
        (folder / f"_{path.name}").rename(path)
    expected = Counter(
        (row[1], row[5].date() - timedelta(row[5].weekday())) for row in kept.stored("votes")
    )
    assert kept.stored("votes_per_post_per_week") == sorted(
        ((*key, votes) for key, votes in expected.items()), key=repr
    )


@settings(max_examples=8, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.dictionaries(
                st.integers(1, 9), st.tuples(st.integers(1, 3), st.integers(0, 30)), max_size=5
            ),
            st.sampled_from(["compute", "rearrange", ""]),
            st.booleans(),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_any_votes_give_what_counting_gives(
    batches: Iterable[tuple[dict[int, tuple[int, int]], str, bool]],
) -> None:
    with TemporaryDirectory() as name:
        folder, known = Path(name), dict[int, tuple[int, date]]()
        for arrival, (changes, then, is_by_week) in enumerate(batches):
            lake = Lake(folder / "lake", folder / "tmp", 10**9, is_by_week=is_by_week)
            votes, result = Stored(lake, VOTES), Stored(lake, VOTES_PER_POST_PER_WEEK)
            moved = {n: (p, MONDAY + timedelta(days)) for n, (p, days) in changes.items()}
            known |= moved
            votes.merge(
                [
                    (n, p, 2, None, None, datetime.combine(day, datetime.min.time()), arrival)
                    for n, (p, day) in moved.items()
                ],
                newest_by="arrival",
            )
            if then == "rearrange":
                rearrange(lake, votes.table)
                rearrange(lake, result.table)
            if then:
                compute(lake, result.table, [VOTES], _SQL, _PART)
                counted = Counter((p, day - timedelta(day.weekday())) for p, day in known.values())
                assert result.rows() == sorted((*key, votes) for key, votes in counted.items())
