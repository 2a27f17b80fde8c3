"""`warehouse answers`."""

from pathlib import Path

import pytest

from warehouse_assets.catalogue import ANSWER_TABLES, QUESTIONS
from warehouse_assets_tests.cli.conftest import Command
from warehouse_assets_tests.house import FORUM, House


def cells(output: str) -> list[list[str]]:
    """The rows of the tables in `output`, without their headings."""
    return [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in output.splitlines()
        if line.startswith("│")
    ]


@pytest.mark.usefixtures("filled")
def test_all_answers_are_shown_with_their_questions(command: Command) -> None:
    result = command("answers")

    assert result.exit_code == 0
    questions = [line for line in result.output.splitlines() if "?" in line]
    assert questions[:2] == [
        "What is the mean votes per post per week? (mean_votes_per_post_per_week)",
        "Which weeks had unusually many or few votes (over 20% off the mean)? (outlier_weeks)",
    ]
    assert (
        "Which batches have the most students that completed at least 3 lessons? "
        "(batch_completions): not published yet"
    ) in questions
    others = [str(table.name) for table in ANSWER_TABLES if table not in FORUM]
    others += [question.name for question in QUESTIONS]
    assert [line.partition("? ")[2] for line in questions[2:]] == [
        f"({name}): not published yet" for name in others
    ]
    # 9 votes on 1 of 2 posts, then 1 vote; the mean of 5 a week is exceeded and missed by 80 %.
    assert cells(result.output) == [
        ["2022-01-03", "9", "1", "9.0000", "2", "4.5000"],
        ["2022-01-10", "1", "1", "1.0000", "2", "0.5000"],
        ["2022", "1", "9", "2022-01-03"],
        ["2022", "2", "1", "2022-01-10"],
    ]


@pytest.mark.usefixtures("filled")
def test_a_table_that_is_named_is_shown_in_the_order_of_its_key(command: Command) -> None:
    result = command("answers", "votes_per_post_per_week")

    assert cells(result.output) == [["1", "2022-01-03", "9"], ["2", "2022-01-10", "1"]]
    assert "votes_per_post_per_week\n" in result.output
    assert "week start" in result.output
    assert "mean" not in result.output


@pytest.mark.usefixtures("filled")
def test_more_rows_than_the_limit_are_counted(command: Command) -> None:
    result = command("answers", "votes", "trips", "outlier_weeks", "--limit", "1")

    assert [row[0] for row in cells(result.output)] == ["1", "2022"]
    assert "… and 9 more rows" in result.output
    assert "… and 1 more rows" in result.output
    assert "trips: not published yet" in result.output


@pytest.mark.usefixtures("filled")
def test_an_unknown_table_is_wrong_usage_and_the_tables_are_named(command: Command) -> None:
    result = command("answers", "posts", "weeks")

    assert result.exit_code == 2
    assert "There is no table or question weeks. There are: deliveries, " in result.output
    assert ", posts, votes, " in result.output
    assert "┃" not in result.output
    assert command("answers", "--limit", "-1").exit_code == 2


def test_without_a_warehouse_it_says_how_to_get_one(command: Command, house: House) -> None:
    for arguments in ((), ("trips", "--region", "Prague")):
        result = command("answers", *arguments)
        assert result.exit_code == 1
        assert f"There is no warehouse at sqlite:///{house.warehouse.path} yet." in result.output
        assert "warehouse ingest FILE" in result.output
    assert not house.warehouse.path.exists()


def test_a_damaged_warehouse_is_told_in_words(command: Command, house: House) -> None:
    house.settings.home.mkdir()
    Path(house.warehouse.path).write_text("not a database, but long enough to be one " * 50)

    result = command("answers")

    assert result.exit_code == 1
    assert "is not a readable SQLite database" in result.output
    assert "warehouse rebuild" in result.output


@pytest.mark.usefixtures("filled")
def test_a_chart_is_drawn_into_a_file(command: Command, tmp_path: Path) -> None:
    svg, png = tmp_path / "weeks.svg", tmp_path / "WEEKS.PNG"
    assert command("answers", "outlier_weeks", "--chart", str(svg)).exit_code == 0
    assert "Week of 2022-01-03: 9 votes" in svg.read_text()
    as_of = ("--as-of", "now", "--limit", "1")
    assert command("answers", "outlier_weeks", "--chart", str(png), *as_of).exit_code == 0
    assert png.read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("filled")
def test_what_cannot_be_drawn_is_told_and_no_file_is_made(command: Command, tmp_path: Path) -> None:
    for names, file, told in (
        (["outlier_weeks"], "weeks.pdf", ".svg or .png"),
        ([], "weeks.svg", "one answer"),
        (["outlier_weeks", "weekly_trips"], "weeks.svg", "one answer"),
        (["groups"], "weeks.svg", "--chart"),
        (["posts"], "weeks.svg", "No chart is declared for posts"),
        (["weekly_trips"], "weeks.svg", "weekly_trips is not published"),
        (["outlier_weeks"], "none/weeks.svg", "No such file or directory"),
    ):
        result = command("answers", *names, "--chart", str(tmp_path / file))
        assert result.exit_code != 0
        assert told in " ".join(result.output.split())
    assert list(tmp_path.glob("**/*.svg")) == []
