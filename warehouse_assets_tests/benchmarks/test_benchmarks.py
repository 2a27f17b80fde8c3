import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import report, trips_scale
from benchmarks.case import Case, Subject
from benchmarks.data import Data
from benchmarks.plan import CASES
from benchmarks.rivals import Rivals
from benchmarks.runner import Runner

ROOT = Path(__file__).parents[2]


def benchmarks(*options: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_two_small_cases_are_measured(tmp_path: Path) -> None:
    cases = ["--only", "load", "--only", "small_appends"]
    ended = benchmarks("--votes", "2000", "--rounds", "1", "--data", tmp_path, *cases)

    assert ended.returncode == 0, ended.stderr
    assert re.findall(r"^### (\w+)", ended.stdout, flags=re.MULTILINE) == ["load", "small_appends"]
    row = r"^\| catch_up, archive included \| \d+\.\d+ \| .* \| \d+\.\d\d \| 1\.3 \| [\d,]+ MB \|"
    assert re.search(row, ended.stdout, flags=re.MULTILINE)
    assert not list(tmp_path.glob("run-*")), "what a run leaves is removed"


def test_trips_are_measured_without_rivals_that_are_not_installed(tmp_path: Path) -> None:
    sizes = ["--votes", "1000", "--trips", "2000", "--rounds", "1"]
    folder = tmp_path / "data"
    ended = benchmarks(
        *sizes, "--rivals", tmp_path / "python", "--data", folder, "--only", "trips_load"
    )

    assert ended.returncode == 0, ended.stderr
    rows = dict(re.findall(r"^\| (\w+)[:,] .*? \| (.+?) \|", ended.stdout, flags=re.MULTILINE))
    assert set(rows) == {"DuckDB", "catch_up", "polars", "PostgreSQL", "pandas"}
    for name in ("polars", "pandas"):
        assert rows[name] == f"{name} is not installed (`make benchmarks` does)"
    assert re.fullmatch(r"\d+\.\d+", rows["catch_up"])
    assert re.fullmatch(r"\d+\.\d+", rows["PostgreSQL"])
    names = {path.name for path in folder.iterdir()}
    assert names == {"trips-2000.csv", "trips-next-2000.csv"}, "no votes are made for trips"


def assert_is_a_function(subject: Subject) -> None:
    module, function = subject.call.split(".")
    source = ROOT / "benchmarks" / "subjects" / f"{module}.py"
    assert f"\ndef {function}(context: Context" in source.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_call_of_the_plan_is_a_function(case: Case) -> None:
    for subject in [*case.subjects, *case.prepare]:
        assert_is_a_function(subject)


@pytest.mark.parametrize("step", trips_scale.STEPS, ids=lambda step: step.subject.name)
def test_every_step_of_the_trips_at_scale_is_a_function(step: trips_scale.Step) -> None:
    assert_is_a_function(step.subject)


def test_the_table_of_sizes_has_a_column_for_each() -> None:
    columns = [
        trips_scale.Column(1000, {"seconds": "1.50", "bytes": "7"}),
        trips_scale.Column(1_000_000, {"seconds": "20.00", "bytes": "9"}),
    ]

    assert list(trips_scale.table(columns)) == [
        "| trips | 1,000 | 1,000,000 |",
        "| --- | --: | --: |",
        "| seconds | 1.50 | 20.00 |",
        "| bytes | 7 | 9 |",
    ]


def test_the_steps_of_a_run_and_the_rest_add_up_to_the_whole(tmp_path: Path) -> None:
    data = Data(tmp_path, 1000, 2000)
    data.trips_file.write_bytes(b"x" * 5_000_000)
    (run,) = (step for step in trips_scale.STEPS if step.subject.name == "the whole run")
    details = {"trips": 1.5, "check_trips": 0.25, "weekly_trips": 0.5, "check_weekly_trips": 0.75}
    sizes = {"bytes of the lake": 10**9, "bytes of the warehouse": 10**7}

    figures = run.rows({"seconds": 4.0, "peak_bytes": 5 * 10**8, "details": details | sizes}, data)

    assert figures == {
        "CSV, GB": "0.01",
        "**the whole run, seconds**": "4",
        "of which trips": "1.50",
        "of which weekly_trips": "0.50",
        "of which all checks": "1",
        "of which Dagster": "1",
        "trips per second": "500",
        "peak memory of the run, MB": "500",
        "lake, GB": "1.00",
        "SQL database, GB": "0.01",
    }


def test_the_same_size_gives_the_same_data(tmp_path: Path) -> None:
    first, second = Data(tmp_path / "a", 1000, 2000), Data(tmp_path / "b", 1000, 2000)
    for data in (first, second):
        data.make_forum()
        data.make_trips()

    for name in ("votes_file", "posts_file", "delivery_file", "trips_file", "next_trips_file"):
        content = getattr(first, name).read_bytes()
        assert content == getattr(second, name).read_bytes()
        assert content


def test_the_next_file_of_trips_has_other_trips(tmp_path: Path) -> None:
    data = Data(tmp_path, 1000, 2000)
    data.make_trips()

    header, *trips = data.trips_file.read_text().splitlines()
    following = data.next_trips_file.read_text().splitlines()
    assert (len(trips), len(following)) == (2000, 2001)
    assert set(trips) & set(following) == set()
    assert header == following[0]


def test_a_subject_that_cannot_be_measured_says_why() -> None:
    missing = Subject("a", "a.b", package="no_such_package")
    slow = Subject("b", "a.b", most_trips=10)

    assert missing.obstacle(1, {"a"}) == "no_such_package is not installed (`make benchmarks` does)"
    assert missing.obstacle(1, {"no_such_package"}) is None
    assert slow.obstacle(10, ()) is None
    assert slow.obstacle(11, ()) == "not measured with more than 10"


def test_rivals_are_measured_in_an_environment_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rivals = Rivals(tmp_path / "python", {"a_rival": "1"})
    runner = Runner(Data(tmp_path, 1000, 2000), tmp_path / "run", 1, print, rivals)
    calls: list[object] = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        calls.append(command[0])
        return subprocess.CompletedProcess(command, 0, stdout="{}")

    monkeypatch.setattr(subprocess, "run", run)
    runner.measure(Subject("the project", "a.b"))
    runner.measure(Subject("a rival", "a.b", package="a_rival"))

    assert calls == [sys.executable, tmp_path / "python"]


def test_what_is_installed_is_asked_of_the_environment(tmp_path: Path) -> None:
    versions = Rivals.of(Path(sys.executable)).versions
    assert versions["pytest"] == pytest.__version__
    assert "sqlalchemy" in versions, "which is written SQLAlchemy"
    assert Rivals.of(tmp_path / "none").versions == {}


def test_the_report_goes_between_the_marks_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")

    report.write(page, "new")

    expected = f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n"
    assert page.read_text(encoding="utf-8") == expected


def test_a_page_without_marks_gets_them_at_its_end(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n", encoding="utf-8")

    report.write(page, "first", "<begin>", "<end>")
    report.write(page, "new", "<begin>", "<end>")

    assert page.read_text(encoding="utf-8") == "before\n\n<begin>\n\nnew\n\n<end>\n"
