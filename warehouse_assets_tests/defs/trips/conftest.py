"""Fixtures of the trips family."""

from collections.abc import Callable, Sequence

import pytest

from warehouse_assets_tests.defs.trips import journeys
from warehouse_assets_tests.defs.trips.journeys import Trip
from warehouse_assets_tests.house import House

Filled = Callable[[Sequence[Trip]], House]


@pytest.fixture
def filled(house: House) -> Filled:
    """Fills the warehouse of the fixture `house` with trips."""

    def fill(trips: Sequence[Trip]) -> House:
        house.deliver("trips.csv", journeys.content(trips))
        journeys.take(house)
        journeys.add_up(house)
        journeys.publish_all(house)
        return house

    return fill
