"""What is handed on: the wheel, the lock file and the tree itself."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import warehouse_assets_tests

ROOT = Path(warehouse_assets_tests.__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the files in a wheel built from a copy of the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("warehouse_assets", "warehouse_assets_tests"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / "tree" / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, folder / "tree" / name)
    # As pip does it, but with the setuptools of this environment instead of one of its own.
    build = f"from setuptools.build_meta import build_wheel; build_wheel({str(folder)!r})"
    command = [sys.executable, "-c", build]
    subprocess.run(command, cwd=folder / "tree", capture_output=True, check=True)
    (built,) = folder.glob("warehouse_assets-*.whl")
    with zipfile.ZipFile(built) as archive:
        return archive.namelist()


def tree() -> list[str]:
    """The files of the repository, those not added yet included."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    return [name for name in listed if (ROOT / name).is_file()]


def test_the_wheel_carries_every_module_every_query_the_command_and_no_tests(
    wheel: list[str],
) -> None:
    folder = ROOT / "warehouse_assets"
    files = {str(path.relative_to(ROOT)) for path in folder.rglob("*.*") if path.is_file()}
    expected = {name for name in files if name.endswith((".py", ".sql", ".csv"))}

    assert "warehouse_assets/defs/forum/sql/outlier_weeks.sql" in expected
    assert expected - set(wheel) == set()
    assert [name for name in wheel if "_tests" in name or "/test_" in name] == []
    assert "warehouse_assets-0.1.0.dist-info/entry_points.txt" in wheel


def test_the_lock_file_pins_every_package_exactly() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pinned = re.compile(r"[a-z0-9][a-z0-9._-]*==[0-9][^\s;,]*( ; .+)?")

    assert len(lines) > 50
    assert [line for line in lines if line and not pinned.fullmatch(line)] == []


def test_the_lock_file_has_every_direct_requirement() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    locked = {re.split(r"[=\s]", line)[0] for line in lines}
    lists = re.findall(
        r"^(?:dependencies|dev) = \[\n(.+?)^\]",
        (ROOT / "pyproject.toml").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    declared = {
        name
        for text in lists
        for name in re.findall(r'^    "([a-z0-9-]+)[=<>]', text, re.MULTILINE)
    }

    assert len(lists) == 2
    assert {"dagster", "pytest"} <= declared
    assert declared - locked == set()


def test_no_file_of_the_tree_holds_a_path_of_a_machine() -> None:
    paths = re.compile("|".join(f"/{name}/" for name in ("work", "root")).encode())
    files = tree()

    assert "pyproject.toml" in files
    assert [name for name in files if paths.search((ROOT / name).read_bytes())] == []
