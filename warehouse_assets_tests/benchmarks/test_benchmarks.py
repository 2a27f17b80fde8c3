import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.data import Data
from benchmarks.plan import CASES, Case

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
    row = r"^\| catch_up, archive included \| \d+\.\d\d \| .* \| \d+\.\d\d \| 1\.3 \| [\d,]+ MB \|"
    assert re.search(row, ended.stdout, flags=re.MULTILINE)
    assert not list(tmp_path.glob("run-*")), "what a run leaves is removed"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_call_of_the_plan_is_a_function(case: Case) -> None:
    calls = [subject.call.split(".") for subject in [*case.subjects, *case.prepare]]
    for module, function in calls:
        source = ROOT / "benchmarks" / "subjects" / f"{module}.py"
        assert f"\ndef {function}(context: Context" in source.read_text(encoding="utf-8")


def test_the_same_size_gives_the_same_data(tmp_path: Path) -> None:
    first, second = Data(tmp_path / "a", 1000), Data(tmp_path / "b", 1000)
    first.make()
    second.make()

    for name in ("votes_file", "posts_file", "delivery_file"):
        content = getattr(first, name).read_bytes()
        assert content == getattr(second, name).read_bytes()
        assert content


def test_the_report_goes_between_the_marks_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")

    report.write(page, "new")

    expected = f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n"
    assert page.read_text(encoding="utf-8") == expected
