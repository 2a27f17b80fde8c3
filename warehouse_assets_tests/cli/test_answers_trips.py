"""`warehouse answers trips`: how many trips an area has per week."""

import shutil
from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets_tests.cli.conftest import Command
from warehouse_assets_tests.cli.test_answers import cells
from warehouse_assets_tests.defs.trips import journeys
from warehouse_assets_tests.defs.trips.journeys import PRAGUE, TURIN, Trip
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.house import House

NORTH, QUITO = (14.5, 50.1), (-78.5, -0.2)
TRIPS = [
    Trip(at="2018-05-01 10:00:00", destination=NORTH),  # a Tuesday
    Trip(at="2018-05-02 10:00:00", destination=NORTH),
    Trip(at="2018-05-06 23:59:59", origin=NORTH, destination=PRAGUE),
    Trip(at="2018-05-15 00:00:00", destination=NORTH),
    Trip("Turin", origin=TURIN, destination=TURIN),
    Trip("Quito", origin=QUITO, destination=QUITO),
]
AROUND_PRAGUE = "14.4,50.0,14.45,50.1"


@pytest.fixture(scope="module")
def trips_home(
    tmp_path_factory: pytest.TempPathFactory, shared_instance: dg.DagsterInstance
) -> Path:
    """The home of a warehouse with these trips."""
    house = House(tmp_path_factory.mktemp("trips") / "home", shared_instance)
    house.deliver("trips.csv", journeys.content(TRIPS))
    journeys.take(house)
    journeys.add_up(house)
    journeys.publish_all(house)
    return house.settings.home


@pytest.fixture
def filled(house: House, trips_home: Path) -> House:
    shutil.copytree(trips_home, house.settings.home)
    return house


@pytest.mark.usefixtures("filled")
def test_a_region_has_its_average_and_every_week(command: Command) -> None:
    result = command("answers", "trips", "--region", "Prague")

    assert result.exit_code == 0
    assert "How many trips did the region Prague have per week?" in result.output
    assert cells(result.output) == [["2018-04-30", "3"], ["2018-05-07", "0"], ["2018-05-14", "1"]]
    assert "1.3333 trips per week: 4 trips in 3 weeks from 2018-04-30 to 2018-05-14." in (
        result.output
    )


# Arguments, and what is told.
AREAS = [
    # The word trips may be left out. Of two weeks that the days touch, one has no trips.
    (
        ["--region", "Prague", "--from", "2018-05-02", "--to", "2018-05-08"],
        "1.0000 trips per week: 2 trips in 2 weeks from 2018-04-30 to 2018-05-07.",
    ),
    (
        ["trips", "--box", "14,50,15,51", "--from", "2018-05-06"],
        "0.6667 trips per week: 2 trips in 3 weeks from 2018-04-30 to 2018-05-14.",
    ),
    (["trips", "--region", "Prague", "--from", "2019-01-01"], "No trips."),
    # Of a box origins count unless told otherwise.
    (["trips", "--box", AROUND_PRAGUE], f"the box {AROUND_PRAGUE} (origin)"),
    (["trips", "--box", AROUND_PRAGUE], "1.0000 trips per week: 3 trips in 3 weeks"),
    (
        ["trips", "--box", AROUND_PRAGUE, "--match", "destination"],
        "1.0000 trips per week: 1 trips in 1 weeks",
    ),
    (["trips", "--box", AROUND_PRAGUE, "--match", "both"], "No trips."),
    # It may be west and south.
    (["trips", "--box=-79,-1,-78,0"], "1 trips in 1 weeks from 2018-05-28"),
    (["trips", "--box", "-79,-1,-78,0"], "1 trips in 1 weeks from 2018-05-28"),
    # Weeks beyond the limit are counted.
    (["trips", "--region", "Prague", "--limit", "1"], "… and 2 more rows"),
    (["trips", "--region", "Prague", "--limit", "1"], "4 trips in 3 weeks"),
]


@pytest.mark.usefixtures("filled")
def test_days_and_boxes_and_the_ends_of_trips_are_heeded(command: Command) -> None:
    for arguments, words in AREAS:
        result = command("answers", *arguments)
        assert (result.exit_code, words in result.output) == (0, True), result.output


@pytest.mark.usefixtures("filled")
def test_an_unknown_region_is_wrong_usage_and_the_regions_are_named(command: Command) -> None:
    for region in ("Atlantis", "prague", "", "Prague' OR 1=1 --"):
        result = command("answers", "trips", "--region", region)

        assert result.exit_code == 2
        assert f"There is no region {region!r}. The regions are: Prague, Quito, Turin." in (
            result.output
        )


# Arguments that make no sense, and what is told.
WRONG = [
    (["--region", "Prague", "--box", AROUND_PRAGUE], "Say either --region NAME or --box"),
    (["--from", "2018-05-01"], "Say either --region NAME or --box"),
    (["--box", ""], "is not four numbers with commas between them"),
    (["--box", "14.4,50.0,14.5"], "is not four numbers with commas between them"),
    (["--box", "14.4,50.0,14.5,50.1,1"], "is not four numbers with commas between them"),
    (["--box", "a,b,c,d"], "cannot be used"),
    (["--box", "14.5,50.0,14.4,50.1"], "min_lon 14.5 and max_lon 14.4 must be from -180"),
    (["--box", "14.4,50.1,14.5,50.0"], "min_lat 50.1 and max_lat 50 must be from -90"),
    (["--box", "14.4,50.0,181,50.1"], "must be from -180 to 180"),
    (["--box", "nan,50.0,14.5,50.1"], "must be from -180 to 180"),
    (["--box", "14.4,50.0,inf,50.1"], "must be from -180 to 180"),
    (
        ["--region", "Prague", "--from", "2018-05-02", "--to", "2018-05-01"],
        "from 2018-05-02 is after to 2018-05-01",
    ),
    (["--region", "Prague", "--from", "2018-02-30"], "2018-02-30"),
    (["--region", "Prague", "--from", "May"], "May"),
    (["--box", AROUND_PRAGUE, "--match", "sideways"], "sideways"),
]


def test_what_makes_no_sense_is_wrong_usage(command: Command) -> None:
    for arguments, message in WRONG:
        result = command("answers", "trips", *arguments)
        assert (result.exit_code, message in result.output) == (2, True), result.output
    result = command("answers", "votes", "--region", "Prague")
    assert (result.exit_code, "are of `answers trips`" in result.output) == (2, True)


def test_of_a_warehouse_to_which_no_trips_were_published_that_is_told(
    command: Command, house: House
) -> None:
    with house.warehouse.write():
        pass
    told = command("answers", "trips", "--region", "Prague")
    assert told.exit_code == 1
    assert "The trips have not been published yet" in told.output


def test_of_a_lake_without_trips_a_box_has_none(command: Command, house: House) -> None:
    result = command("answers", "trips", "--box", AROUND_PRAGUE)

    assert result.exit_code == 0
    assert "No trips." in result.output
    assert not folder_of(house.settings.lake).exists()


@pytest.mark.usefixtures("filled")
def test_groups_are_as_similar_as_one_asks(command: Command) -> None:
    for arguments, rows, words in (
        # Tiles of 25 km: two trips of eight to twelve o'clock are from Prague to the north of it.
        (
            ["--region", "Prague"],
            [["Prague", "50.1769 14.5898", "50.1769 14.5898", "08-12", "2"]],
            "50.0% of 4 trips are in groups of two or more, of 3 in all (zoom 10, 4 hours).",
        ),
        (
            ["--zoom", "5", "--hours", "24", "--limit", "1"],
            [["Prague", "52.4828 16.8750", "52.4828 16.8750", "00-24", "4"]],
            "66.7% of 6 trips are in groups of two or more, of 3 in all (zoom 5, 24 hours).",
        ),
        (
            ["--box", AROUND_PRAGUE, "--to", "2018-05-01"],
            [["Prague", "50.1769 14.5898", "50.1769 14.5898", "08-12", "1"]],
            "0.0% of 1 trips",
        ),
        (["--from", "2030-01-01"], [], "No trips."),
    ):
        result = command("answers", "groups", *arguments)

        assert result.exit_code == 0, result.output
        assert cells(result.output)[: len(rows)] == rows
        assert words in " ".join(result.output.split())


@pytest.mark.usefixtures("filled")
def test_neighbours_are_one_group_if_that_is_asked_for(command: Command) -> None:
    result = command("answers", "groups", "--hours", "12", "--merge", "neighbours")

    assert [row[-2:] for row in cells(result.output)] == [["4", "2"], ["1", "1"], ["1", "1"]]
    assert "(zoom 10, 12 hours, neighbours are one)" in " ".join(result.output.split())


def test_what_is_of_groups_is_refused_for_other_answers(command: Command) -> None:
    for arguments in (
        ["trips", "--zoom", "9"],
        ["--hours", "4"],
        ["posts", "--merge", "neighbours"],
    ):
        assert "are of `answers groups`" in command("answers", *arguments).output
