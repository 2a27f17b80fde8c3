"""The commands that people and schedulers start, each a process of its own.

Each command is started once as they do; more processes are forked, which saves them the imports.
"""

import re
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

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
    assert_asked_by_the_script_of_the_documentation(house)


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


def assert_asked_by_the_script_of_the_documentation(house: House) -> None:
    """The SQL of `docs/sql.md` has an answer to each of its questions, the right ones."""
    page = (Path(__file__).parents[2] / "docs" / "sql.md").read_text("utf-8")
    described, script = re.findall(r"```sql\n(.*?)```", page, flags=re.DOTALL)
    asked = [statement for statement in (described + script).split(";") if statement.strip()]
    with closing(sqlite3.connect(house.settings.home / "warehouse.db")) as connection:
        found = [connection.execute(statement).fetchall() for statement in asked]
    assert [statement for statement, rows in zip(asked, found, strict=True) if not rows] == []
    told, _, means, outliers, batches, weekly, _, latest, cheap, products, written, (average,) = (
        found
    )
    sizes = {name: rows for name, kind, rows, *_ in told if kind == "table"}
    assert sizes == {name: len(house.published(name)) for name in sizes}
    assert {"votes", "reviews", "trip_groups"} < set(sizes)
    assert len(means) == sizes["mean_votes_per_post_per_week"]
    assert [row[:3] for row in outliers] == sorted(r[:3] for r in house.published("outlier_weeks"))
    assert [row[0] for row in batches] == sorted(
        row[5] for row in house.published("batch_completions")
    )[:10]
    trips = house.stored("trips", "region, datasource, started_at")
    counts = Counter(region for region, _, _ in trips)
    assert {region: number for region, number, _ in weekly} == counts
    days = [at.date() for region, _, at in trips if region == weekly[0][0]]
    weeks = {day - timedelta(days=day.weekday()) for day in days}
    assert weekly[0][2] == counts[weekly[0][0]] / ((max(weeks) - min(weeks)).days / 7 + 1)
    common = sorted(counts, key=lambda region: (-counts[region], region))[:2]
    assert latest[0][2] == max((at, source) for region, source, at in trips if region in common)[1]
    assert {row[0] for row in cheap} == {region for region, s, _ in trips if s == "cheap_mobile"}
    reviews = Counter(product for (product,) in house.stored("reviews", '"productID"'))
    assert [row[1] for row in products] == sorted(reviews.values(), reverse=True)[:10]
    assert len(written) == min(reviews[products[0][0]], 10)
    seconds = [row[0] for row in house.stored("delivery_durations", "duration_seconds")]
    assert average[:2] == (len(seconds), pytest.approx(sum(seconds) / len(seconds)))
