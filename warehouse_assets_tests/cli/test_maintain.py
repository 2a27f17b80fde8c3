"""`warehouse maintain`."""

from pathlib import Path

from warehouse_assets_tests.cli.conftest import Command
from warehouse_assets_tests.house import House, vote


def test_small_files_become_one_and_the_answers_stay(command: Command, house: House) -> None:
    for number in range(3):
        house.deliver("votes.json", [vote(number, 1)])
        assert house.run("votes", checks=False).success
    rows = house.stored("votes")

    result = command("maintain")

    assert result.exit_code == 0
    assert "votes: 3 files are now 1; 0 that no version needs were removed" in result.output
    assert house.stored("votes") == rows


def test_without_a_lake_there_is_nothing_to_do(command: Command, house: House) -> None:
    result = command("maintain")

    assert (result.exit_code, result.output) == (0, "")
    assert not Path(house.settings.home).exists()
