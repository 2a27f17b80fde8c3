"""The commands that people and schedulers start, each a process of its own.

Each command is started once as they do; more processes are forked, which saves them the imports.
"""

from pathlib import Path

from warehouse_assets.samples.forum import write_forum_samples
from warehouse_assets_tests.house import House, vote
from warehouse_assets_tests.integration.processes import fork_command, run, run_forked


def test_dagster_materialises_samples(house: House) -> None:
    write_forum_samples(house.settings.inbox, 200, seed=1)
    command = ("asset", "materialize", "-m", "warehouse_assets.definitions")

    good = run(house, "dagster", *command, "--select", "group:forum or group:quality")

    assert good.returncode == 0, good.stderr
    assert len(house.published("votes")) == 200
    assert house.waiting() == []


def test_the_command_from_samples_to_answers(house: House, tmp_path: Path) -> None:
    told = tmp_path / "told"
    few = {"votes": 200, "students": 30, "trips": 500, "reviews": 200, "deliveries": 200}
    sizes = [part for name, size in few.items() for part in (f"--{name}", str(size))]
    assert run_forked(house, told, "warehouse", "samples", *sizes)[0] == 0
    ingested = run(house, "warehouse", "ingest")
    assert ingested.returncode == 0, ingested.stderr
    code, answers = run_forked(house, told, "warehouse", "answers")
    assert code == 0
    assert "Which weeks had unusually many or few votes (over 20% off the mean)?" in answers


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
