import re
import subprocess
import sys
from pathlib import Path

from benchmarks import report
from benchmarks.data import Data
from benchmarks.plan import CASES

ROOT = Path(__file__).parents[2]


def test_a_small_case_is_measured(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    sizes = ["--votes", "1000", "--trips", "2000", "--rounds", "1"]
    command = [sys.executable, "-m", "benchmarks", *sizes, "--data", str(folder)]
    ended = subprocess.run(
        [*command, "--only", "trips_load"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert ended.returncode == 0, ended.stderr
    row = r"^\| catch_up, archive included \| \d+\.\d+ \| .* \| \d+\.\d\d \| 1\.2 \| [\d,]+ MB \|"
    assert re.search(row, ended.stdout, flags=re.MULTILINE)
    rows = dict(re.findall(r"^\| (\w+)[:,] .*? \| (.+?) \|", ended.stdout, flags=re.MULTILINE))
    assert set(rows) == {"DuckDB", "catch_up"}
    names = {path.name for path in folder.iterdir()}
    # No votes are made for trips, and what a run leaves is removed.
    assert names == {"trips-2000.csv", "trips-next-2000.csv"}


def test_every_call_of_the_plan_is_a_function() -> None:
    for call in {subject.call for case in CASES for subject in [*case.subjects, *case.prepare]}:
        module, function = call.split(".")
        source = ROOT / "benchmarks" / "subjects" / f"{module}.py"
        assert f"\ndef {function}(context: Context" in source.read_text(encoding="utf-8")


def test_the_same_size_gives_the_same_data_and_the_next_file_of_trips_others(
    tmp_path: Path,
) -> None:
    first, second = Data(tmp_path / "a", 1000, 2000), Data(tmp_path / "b", 1000, 2000)
    for data in (first, second):
        data.make_forum()
        data.make_trips()

    for name in ("votes_file", "posts_file", "delivery_file", "trips_file", "next_trips_file"):
        content = getattr(first, name).read_bytes()
        assert content == getattr(second, name).read_bytes()
        assert content
    header, *trips = first.trips_file.read_text().splitlines()
    following = first.next_trips_file.read_text().splitlines()
    assert (len(trips), len(following)) == (2000, 2001)
    assert set(trips) & set(following) == set()
    assert header == following[0]


def test_the_report_goes_between_the_marks_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")

    report.write(page, "new")

    expected = f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n"
    assert page.read_text(encoding="utf-8") == expected
