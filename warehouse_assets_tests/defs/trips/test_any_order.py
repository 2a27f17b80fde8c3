"""Whatever happens in whatever order, each trip is counted once: in lake and warehouse."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets.orchestration.maintenance import maintain_all
from warehouse_assets_tests.defs.trips import journeys
from warehouse_assets_tests.defs.trips.journeys import PRAGUE, TURIN, Trip, content
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.house import House

# Few of each, so that trips meet in a group, a day and a week.
trips = st.builds(
    Trip,
    st.sampled_from(["Prague", "Turin"]),
    st.sampled_from([PRAGUE, TURIN]),
    st.just(TURIN),
    st.sampled_from(["2018-12-31 23:59:59", "2019-01-01 00:00:00", "2019-01-06 23:30:00.5"]),
    st.sampled_from(["funny_car", "cheap_mobile"]),
)
files = st.lists(trips, min_size=1, max_size=3)
happenings = st.lists(
    files
    | st.sampled_from(
        ["take", "daily_trips", "weekly_trips", "publish", "maintain"] * 2
        + ["trip_groups_fine", "trip_groups"] * 2
        + ["run", "run", "another zoom", "no warehouse", "no rejected", "no lake"]
    ),
    min_size=4,
    max_size=12,
)


class Life:
    """A house, what has been delivered to it, and the zoom of its groups."""

    def __init__(self, home: Path, instance: dg.DagsterInstance) -> None:
        self.house = House(home, instance)
        self.delivered: dict[str, list[Trip]] = {}
        self.files = 0
        self.zoom = 14

    def deliver(self, found: list[Trip]) -> None:
        self.files += 1
        self.delivered[content(found)] = found
        self.house.deliver(f"trips-{self.files}.csv", content(found))

    def run(self) -> None:
        journeys.take(self.house)
        journeys.add_up(self.house, zoom=self.zoom)
        journeys.publish_all(self.house)

    def lose(self, what: str) -> None:
        if what == "warehouse":
            self.house.warehouse.path.unlink(missing_ok=True)
            return
        folder = folder_of(self.house.settings.lake)
        shutil.rmtree(folder if what == "lake" else folder / "rejected_records", ignore_errors=True)

    def happen(self, what: str) -> None:
        if what == "take":
            journeys.take(self.house)
        elif what == "publish":
            journeys.publish_all(self.house)
        elif what == "maintain":
            settings = self.house.settings.model_copy(update={"time_travel_days": 0})
            list(maintain_all(self.house.lake, self.house.warehouse, settings))
        elif what == "another zoom":
            self.zoom = 5 if self.zoom == 14 else 14
        elif what == "run":
            self.run()
        elif what.startswith("no "):
            self.lose({"no rejected": "rejected"}.get(what, what[3:]))
        else:
            journeys.add_up(self.house, what, zoom=self.zoom)


@given(history=happenings)
@settings(max_examples=4, deadline=None)
def test_each_trip_is_counted_once(
    shared_instance: dg.DagsterInstance, history: list[str | list[Trip]]
) -> None:
    with TemporaryDirectory() as name:
        life = Life(Path(name) / "home", shared_instance)
        for step in history:
            if isinstance(step, list):
                life.deliver(step)
            else:
                life.happen(step)
        life.run()
        expected = [trip for found in life.delivered.values() for trip in found]
        journeys.assert_hold(life.house, expected, life.zoom)
        journeys.assert_published(life.house, expected, life.zoom)
        assert life.house.waiting() == []
        assert len(life.house.archived()) == len(life.delivered)
        versions = life.house.versions()
        life.run()
        assert life.house.versions() == versions
