"""The `warehouse` command, run in this process over a warehouse of the test's own."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from warehouse_assets import runs
from warehouse_assets.cli import main, terminal
from warehouse_assets.settings import Settings
from warehouse_assets_tests.house import House, post, vote

Command = Callable[..., Result]
Only = Callable[..., None]


@pytest.fixture
def command(house: House, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `warehouse ARGUMENTS…` over the warehouse and the history of the fixture `house`."""

    @contextmanager
    def history(settings: Settings) -> Iterator[dg.DagsterInstance]:
        yield house.instance

    for variable, value in house.environment.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(runs, "history", history)
    # Wide, so that no word is broken.
    for console in (terminal.out, terminal.err):
        monkeypatch.setattr(console, "width", 400)

    def run(*arguments: str | Path) -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        # Anything else would be shown as a traceback.
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Only:
    """Narrows what commands run to the given assets: what is not looked at need not be made."""
    whole = runs.job_of

    def narrow(*assets: str, checks: bool = True) -> None:
        chosen = dg.AssetSelection.assets(*assets)

        def job(
            name: str,
            settings: Settings,
            selection: dg.AssetSelection,
        ) -> dg.JobDefinition:
            both = selection & chosen
            return whole(name, settings, both if checks else both.without_checks())

        monkeypatch.setattr(runs, "job_of", job)

    return narrow


@pytest.fixture(scope="session")
def filled_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a warehouse with 2 posts, 10 votes and a rejected record."""
    home = tmp_path_factory.mktemp("filled") / "home"
    with dg.DagsterInstance.ephemeral() as instance:
        house = House(home, instance)
        house.deliver("posts.jsonl", [post(1), post(2)])
        votes = [*(vote(n, 1) for n in range(1, 10)), vote(10, 2, "2022-01-12"), {"Id": "x"}]
        house.deliver("votes.jsonl", votes)
        assert house.run(checks=False).success
    return home


@pytest.fixture
def filled(house: House, filled_home: Path) -> House:
    """A warehouse with 2 posts, 10 votes and a rejected record."""
    shutil.copytree(filled_home, house.settings.home)
    return house


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder of files that are mine."""
    folder = tmp_path / "mine"
    folder.mkdir()
    return folder


def write_records(path: Path, *records: Mapping[str, Any]) -> Path:
    """Write `records` as JSON lines; returns the path."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path
