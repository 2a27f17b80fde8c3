"""The commands that people and schedulers start, each a process of its own.

Each command is started once as they do; more processes are forked, which saves them the imports.
"""

import os
import re
import select
from pathlib import Path

import pytest

from warehouse_assets.samples.forum import write_forum_samples
from warehouse_assets_tests.house import House, vote
from warehouse_assets_tests.integration.processes import fork_command, run, run_forked
from warehouse_assets_tests.orchestration.lake_rows import add_rows


def materialize(selection: str) -> tuple[str, ...]:
    return ("asset", "materialize", "--select", selection, "-m", "warehouse_assets.definitions")


def _make_key_of_votes_ambiguous(house: House) -> None:
    twice = {"id": 900_000_009, "post_id": 1, "creation_date": "2022-01-10", "arrival": 7}
    add_rows(house, "votes", twice, twice)


def test_dagster_materialises_samples_and_fails_when_a_blocking_check_does(
    house: House, tmp_path: Path
) -> None:
    write_forum_samples(house.settings.inbox, 200, seed=1)

    good = run(house, "dagster", *materialize("group:forum or group:quality"))

    assert good.returncode == 0, good.stderr
    assert len(house.published("votes")) == 200
    assert house.waiting() == []

    _make_key_of_votes_ambiguous(house)

    code, told = run_forked(house, tmp_path / "told", "dagster", *materialize("votes"))

    assert code == 1
    assert "key_is_unique" in told


def test_the_command_from_samples_to_answers(house: House, tmp_path: Path) -> None:
    told = tmp_path / "told"
    few = {"votes": 200, "students": 30, "trips": 500, "reviews": 200, "deliveries": 200}
    sizes = [part for name, size in few.items() for part in (f"--{name}", str(size))]
    assert run_forked(house, told, "warehouse", "samples", *sizes)[0] == 0
    ingested = run(house, "warehouse", "ingest")
    assert ingested.returncode == 0, ingested.stderr
    code, answers = run_forked(house, told, "warehouse", "answers")
    assert code == 0
    assert "Which weeks had unusually many or few votes?" in answers


def test_commands_started_at_once_count_the_votes_of_each(house: House, tmp_path: Path) -> None:
    files = []
    for number in range(2):
        other = House(tmp_path / f"files-{number}", house.instance)
        votes = [vote(1000 * number + n, n % 7) for n in range(1, 501)]
        files.append(other.deliver(f"votes-{number}.jsonl", votes))

    told = [tmp_path / f"told-{number}" for number in range(2)]
    processes = [
        fork_command(house, output, "warehouse", "ingest", file)
        for output, file in zip(told, files, strict=True)
    ]
    for process in processes:
        process.join(timeout=120)

    ended = [process.exitcode for process in processes]
    assert ended == [0, 0], [output.read_text() for output in told]
    assert len(house.published("votes")) == 1000
    assert sum(row[2] for row in house.published("votes_per_post_per_week")) == 1000
    assert house.published("mean_votes_per_post_per_week")[0][1] == 1000
    assert house.waiting() == []
    assert len(house.archived()) == 2


def test_a_terminal_shows_what_is_done_with_each_table(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "trips.csv"
    rows = "Prague,POINT (14.4 50),POINT (14.5 50.1),2018-05-28 09:03:40,funny_car\n" * 2
    file.write_text(f"region,origin_coord,destination_coord,datetime,datasource\n{rows}")
    for name, value in (("TERM", "xterm"), ("COLUMNS", "200"), ("LINES", "40")):
        monkeypatch.setenv(name, value)
    terminal, end = os.openpty()
    process = fork_command(house, Path(os.ttyname(end)), "warehouse", "ingest", file)
    told = b""
    while process.is_alive() or select.select([terminal], [], [], 0)[0]:
        if select.select([terminal], [], [], 0.1)[0]:
            told += os.read(terminal, 1 << 16)
    for descriptor in (terminal, end):
        os.close(descriptor)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", told.decode())
    lines = [line for line in re.split(r"[\r\n]+", text) if line]

    assert process.exitcode == 0, text
    activities = [
        found[1] for line in lines if (found := re.match(r"(\w+ing \w+) .*\d:\d\d:\d\d$", line))
    ]
    assert "storing trips" in activities
    for table in ("daily_trips", "trip_groups", "weekly_trips"):
        computing, publishing = f"computing {table}", f"publishing {table}"
        assert activities.index("storing trips") < activities.index(computing)
        assert activities.index(computing) < activities.index(publishing)
        last_of_computing = len(activities) - activities[::-1].index(computing)
        assert last_of_computing <= activities.index(publishing)
