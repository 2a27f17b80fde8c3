"""`warehouse sql`."""

import csv
import io
import json

import pytest

from warehouse_assets.catalogue import TABLES
from warehouse_assets_tests.cli.conftest import Command
from warehouse_assets_tests.cli.test_answers import cells
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.house import House


@pytest.mark.usefixtures("filled")
def test_rows_are_shown_as_a_table_or_as_csv(command: Command) -> None:
    result = command("sql", "SELECT id, post_id AS p FROM votes ORDER BY id DESC LIMIT 2")
    assert result.exit_code == 0
    assert cells(result.output) == [["10", "2"], ["9", "1"]]

    query = "SELECT id, 'a,\"b' AS t, NULL AS n FROM votes WHERE id < 4 ORDER BY id"
    exported = command("sql", query, "--format", "csv")
    assert list(csv.reader(io.StringIO(exported.stdout))) == [
        ["id", "t", "n"],
        *([number, 'a,"b', ""] for number in "123"),
    ]


@pytest.mark.usefixtures("filled")
def test_rows_are_written_as_json_lines(command: Command) -> None:
    query = """SELECT id, creation_date AS t, DATE '2022-01-03' AS d, 'é' AS s, true AS b,
        NULL AS n, [1, 2] AS l, 0.5::DOUBLE AS f FROM votes WHERE id = 1"""

    result = command("sql", query, "--format", "json")

    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {
            "id": 1,
            "t": "2022-01-03 00:00:00",
            "d": "2022-01-03",
            "s": "é",
            "b": True,
            "n": None,
            "l": [1, 2],
            "f": 0.5,
        }
    ]
    assert "é" in result.stdout


def test_values_are_shown_as_people_write_them(command: Command) -> None:
    query = """SELECT NULL, true, 0.5::DOUBLE, TIMESTAMP '2022-01-03 10:00:00',
        DATE '2022-01-03', '[bold]', 12345"""

    assert cells(command("sql", query).output) == [
        ["null", "true", "0.5000", "2022-01-03 10:00:00", "2022-01-03", "[bold]", "12345"]
    ]


def test_a_table_shows_a_hundred_rows_and_counts_the_others(command: Command) -> None:
    result = command("sql", "SELECT range FROM range(25000)")

    assert [int(row[0]) for row in cells(result.output)] == list(range(100))
    assert "… and 24,900 more rows" in result.output
    # A file has all, whatever the limit.
    for shape, headers in (("csv", 1), ("json", 0)):
        rows = command("sql", "FROM range(25000)", "--format", shape, "--limit", "3")
        assert len(rows.stdout.splitlines()) == 25_000 + headers


def test_a_wrong_query_is_answered_with_a_message(command: Command) -> None:
    for query, message in (
        ("SELECT FROM votes", "Parser Error"),
        ("SELECT * FROM vots", 'Did you mean "votes"'),
        ("SELECT CASE WHEN range > 15000 THEN error('late') END FROM range(20000)", "late"),
    ):
        for shape in ("table", "csv"):
            result = command("sql", query, "--format", shape)
            assert result.exit_code == 1
            assert message in result.stderr
            assert "Traceback" not in result.output


def test_an_empty_query_is_wrong_usage(command: Command) -> None:
    result = command("sql", " ")

    assert result.exit_code == 2
    assert "There is no query." in result.stderr


def test_every_table_can_be_queried_before_there_is_any(command: Command, house: House) -> None:
    result = command("sql", "SHOW TABLES")

    shown = {name for (name,) in cells(result.output)}
    # Beside them the partial rows of those that are added up.
    assert {name for name in shown if not name.startswith("_partial_")} == {
        str(table.name) for table in TABLES
    }
    assert cells(command("sql", "SELECT * FROM posts").output) == []
    described = cells(command("sql", "DESCRIBE outlier_weeks").output)
    assert [row[:2] for row in described] == [
        ["year", "BIGINT"],
        ["week_number", "BIGINT"],
        ["votes", "BIGINT"],
        ["week_start", "DATE"],
    ]
    statement = command("sql", "SET threads = 1")  # has no result
    assert (statement.exit_code, cells(statement.output)) == (0, [])
    assert not folder_of(house.settings.lake).exists()


@pytest.mark.usefixtures("filled")
def test_the_lake_cannot_be_changed(command: Command, house: House) -> None:
    result = command("sql", "DELETE FROM votes")

    assert result.exit_code == 1
    assert len(house.stored("votes")) == 10


def test_what_is_not_a_number_is_null_in_json(command: Command) -> None:
    result = command("sql", "SELECT 'nan'::DOUBLE AS x, '-inf'::DOUBLE AS y", "--format", "json")

    assert result.output == '{"x": null, "y": null}\n'


def test_rows_too_wide_for_a_grid_are_printed_as_lines(command: Command) -> None:
    columns = ", ".join(f"{number} AS column_{number}" for number in range(100))
    result = command("sql", f"SELECT {columns}")

    assert "column_99  99\n" in result.output
