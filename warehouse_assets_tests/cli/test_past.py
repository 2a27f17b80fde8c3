"""`warehouse changes`, `why`, `trace` and `label`."""

import pytest

from warehouse_assets.cli import terminal
from warehouse_assets_tests.cli.conftest import Command
from warehouse_assets_tests.cli.test_answers import cells
from warehouse_assets_tests.history.rounds import moment
from warehouse_assets_tests.house import House, post, vote


@pytest.mark.usefixtures("filled")
def test_changes_show_old_and_new_values(command: Command, house: House) -> None:
    before = moment()
    house.deliver("votes-2.jsonl", [vote(11, 1), vote(12, 3)])
    assert house.run("votes", "votes_per_post_per_week", checks=False).success

    result = command("changes", "votes_per_post_per_week", "--since", before)

    assert "1 added, 1 changed, 0 removed" in result.output
    assert cells(result.output) == [
        ["changed", "1", "2022-01-03", "9 → 10"],
        ["added", "3", "2022-01-03", "1"],
    ]
    assert "nothing changed" in command("changes", "posts", "--since", before).output
    few = command("changes", "votes", "--since", "today", "--limit", "1")
    assert "12 added" in few.output
    assert "… and 11 more rows" in few.output


@pytest.mark.usefixtures("filled")
def test_why_goes_down_to_the_file(command: Command, house: House) -> None:
    before = moment()
    house.deliver("late.jsonl", [vote(11, 1)])
    house.deliver("other.jsonl", [vote(12, 1, "2022-01-12")])
    assert house.run(checks=False).success

    result = command("why", "mean_votes_per_post_per_week", "2022-01-03", "--since", before)
    assert cells(result.output) == [
        ["changed", "2022-01-03", "9 → 10", "1", "9.0000 → 10.0000", "2", "4.5000 → 5.0000"],
        ["changed", "1", "2022-01-03", "9 → 10"],
        ["11", "1", "2", "2022-01-03 00:00:00", "00000002-late.jsonl, line 1"],
        # The first and the last week, between which there are rows.
        ["changed", "1", "2022-01-03", "9 → 10"],
        ["added", "1", "2022-01-10", "1"],
    ]
    assert "on which depends whether the week is between the first and the last" in result.output
    assert "1 of them came in 00000002-late.jsonl" in result.output

    now = command("why", "votes_per_post_per_week", "1", "2022-01-10")
    assert "votes: 1 rows" in now.output
    assert cells(now.output)[-1][-1] == "00000003-other.jsonl, line 1"
    same = command("why", "votes_per_post_per_week", "2", "2022-01-10", "--since", before)
    assert "the row is what it was" in same.output
    for wrong, words in (
        (["votes", "99"], "no row of votes with id 99"),
        (["votes", "1", "2"], "told by 1 values: id"),
        (["votes", "x"], "cannot be used"),
        (["trips", "x"], "no key"),
        (["regions_with_cheap_mobile"], "question without a key"),
    ):
        refused = command("why", *wrong)
        assert refused.exit_code in {1, 2}
        assert words in refused.stderr


@pytest.mark.usefixtures("filled")
def test_of_a_wide_table_is_shown_what_fits(
    command: Command, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = moment()
    late = {**post(9), "Title": "long " * 60, "Tags": "<sql>", "Score": 4}
    house.deliver("late.json", [late])
    assert house.run(checks=False).success
    monkeypatch.setattr(terminal.out, "width", 80)

    asked = ("mean_votes_per_post_per_week", "2022-01-10", "--since", before)
    for arguments in (("why", *asked), ("changes", "posts", "--since", before)):
        output = command(*arguments).output
        assert max(map(len, output.splitlines())) <= 80
        assert "2022-01-03" in output
        omitted = output.split("not shown: ")[1]
        assert "title" in omitted
        assert "long long" not in output


@pytest.mark.usefixtures("filled")
def test_a_receipt_tells_what_became_of_each_line(command: Command, house: House) -> None:
    again = [vote(1, 1), {"Id": "z"}, vote(2, 2), vote(20, 1), {}, vote(20, 2)]
    house.deliver("votes-2.jsonl", again)
    assert house.run(checks=False).success
    house.deliver("votes-3.jsonl", [vote(20, 9)])
    assert house.run(checks=False).success

    result = command("trace", "votes-2.jsonl")
    assert "1 known before, 2 rejected, 2 taken and replaced since, 1 taken" in result.output
    assert [row[:3] for row in cells(result.output)] == [
        ["1", "known", "the same as in file 1"],
        [
            "2",
            "rejected",
            "Id is not a whole number; PostId is missing; CreationDate is missing: z",
        ],
        ["4", "replaced", "by 6 of the same file"],
        ["5", "rejected", "Id is missing; PostId is missing; CreationDate is missing"],
        ["6", "replaced", "by a record of file 3"],
    ]
    assert "counted in 1 rows of votes_per_post_per_week" in result.output
    one = command("trace", "00000002-votes-2.jsonl", "--line", "3")
    assert [row[:2] for row in cells(one.output)] == [["3", "taken"]]
    assert "counted in 1 rows of mean_votes_per_post_per_week" in one.output
    assert "no record" in command("trace", "votes-2.jsonl", "--line", "9").output
    (house.settings.home / "copy").write_bytes(
        (house.settings.archive / "votes" / "00000003-votes-3.jsonl").read_bytes()
    )
    assert "1 taken" in command("trace", house.settings.home / "copy").output
    for name, words in (("nothing.csv", "has no file nothing.csv"), ("wait.jsonl", "next run")):
        house.deliver("wait.jsonl", [vote(30, 1)])
        refused = command("trace", name)
        assert (refused.exit_code, words in refused.stderr) == (1, True)


@pytest.mark.usefixtures("filled")
def test_a_label_is_given_shown_used_and_removed(command: Command, house: House) -> None:
    assert command("label", "2026-Q4").exit_code == 0
    house.deliver("votes-2.jsonl", [vote(11, 1)])
    assert house.run("votes", checks=False).success

    count = "SELECT count(*) FROM votes"
    assert cells(command("sql", count, "--as-of", "2026-Q4").output) == [["10"]]
    assert cells(command("sql", count).output) == [["11"]]
    assert command("answers", "votes", "--as-of", "2026-Q4").output.count("2022-01") == 10
    assert [row[0] for row in cells(command("label").output)] == ["2026-Q4"]
    assert command("label", "2026-Q4", "--remove").exit_code == 0
    gone = command("sql", count, "--as-of", "2026-Q4")
    assert (gone.exit_code, "is no moment" in gone.stderr) == (1, True)


def test_there_must_be_something_to_label(command: Command) -> None:
    result = command("label", "empty")
    assert result.exit_code == 1
    assert "no table yet" in result.stderr
    assert command("label", "2026-11-20").exit_code == 1
    assert command("answers", "--as-of", "now", "--region", "Prague").exit_code == 2
    assert command("changes", "nothing").exit_code == 2
