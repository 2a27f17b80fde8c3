"""A client that is generated from the description asks a real service, and is answered."""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from warehouse_assets_tests.api.serving import (
    COLUMNS,
    ROW,
    Served,
    eventually,
    serving,
    settings_of,
)

pytest.importorskip("openapi_python_client", reason="it needs Python 3.11")

_NAME = "warehouse_client"


@dataclass
class Generated:
    """A client of the generated package, and how its operations are called."""

    _made: Any

    @classmethod
    @contextmanager
    def of(cls, served: Served) -> Iterator["Generated"]:
        """A client of a service."""
        client = importlib.import_module(_NAME).Client(base_url=f"{served.address}/v1")
        with client as made:
            yield cls(made)

    def ask(self, operation: str, *arguments: Any, **values: Any) -> Any:
        """What an operation answers, `TAG.NAME`."""
        module = importlib.import_module(f"{_NAME}.api.{operation}")
        return module.sync(*arguments, client=self._made, **values)

    @staticmethod
    def model(name: str, found: dict[str, Any]) -> Any:
        """A model of a value."""
        return getattr(importlib.import_module(f"{_NAME}.models"), name).from_dict(found)


@pytest.fixture(scope="module")
def generated(
    sampled: Served, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Served, Generated]]:
    """A client of a service with samples."""
    folder = tmp_path_factory.mktemp("generated")
    config = folder / "config.yml"
    config.write_text("post_hooks: []\n")  # they would only tidy its code up
    command: list[str | Path] = [Path(sys.executable).with_name("openapi-python-client")]
    command += ["generate", "--url", f"{sampled.address}/openapi.json", "--config", config]
    command += ["--meta", "none", "--output-path", folder / _NAME, "--fail-on-warning"]
    environment = {**os.environ, "NO_PROXY": "*", "no_proxy": "*"}
    made = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (made.returncode, made.stderr) == (0, ""), made.stdout + made.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("NO_PROXY", "*")
        with Generated.of(sampled) as client:
            yield sampled, client


def test_it_lists_answers_and_pages_through_one(generated: tuple[Served, Generated]) -> None:
    served, client = generated
    listed = client.ask("answers.get_answers")
    names = [each.name for each in listed.items]
    assert {"weekly_trips", "outlier_weeks", "batch_completions"} <= set(names)

    rows: list[dict[str, Any]] = []
    after = None
    while after is not None or not rows:
        page = client.ask("answers.get_answer", "weekly_trips", limit=7, after=after)
        rows += [row.to_dict() for row in page.items]
        after = page.next_
    whole = served.client.get(f"{served.address}/answers/weekly_trips?limit=1000").json()["rows"]
    assert rows == whole
    assert len(rows) > 14


def test_it_filters_tables(generated: tuple[Served, Generated]) -> None:
    served, client = generated
    path = f"{served.address}/tables/weekly_trips?limit=1000"
    every = served.client.get(path).json()["items"]
    region, least = every[0]["region"], max(row["trips"] for row in every)
    conditions = client.model("GetTableFilters", {"region": region, "trips.lt": str(least)})
    found = client.ask("tables.get_table", "weekly_trips", filters=conditions, order="trips.desc")
    expected = [row for row in every if row["region"] == region and row["trips"] < least]
    assert expected
    assert len(found.items) == len(expected)
    assert [row["trips"] for row in found.items] == sorted(
        (row["trips"] for row in expected), reverse=True
    )


def test_it_asks_for_groups_reviews_and_why(generated: tuple[Served, Generated]) -> None:
    served, client = generated
    groups = client.ask("trips.get_trips_groups", zoom=5, hours=_hours(client, 24), limit=3)
    assert groups.trips == 500
    assert 1 <= len(groups.items) <= 3
    assert groups.items[0].trips >= groups.items[-1].trips

    (review,) = served.client.get(f"{served.address}/tables/reviews?limit=1").json()["items"]
    summary = client.ask("reviews.get_product", review["productID"])
    told = client.ask("reviews.get_product_reviews", review["productID"], limit=100)
    assert summary.reviews == len(told.items) >= 1
    assert review["reviewText"] in {each.text for each in told.items}

    week = client.ask("answers.get_answer", "mean_votes_per_post_per_week", limit=1).items[0]
    key = client.model("GetAnswerWhyKey", {"week_start": week["week_start"]})
    why = client.ask("answers.get_answer_why", "mean_votes_per_post_per_week", key=key)
    assert why.row.after["votes"] == week["votes"]
    assert any(step.table == "votes" for step in why.steps)


def _hours(client: Generated, hours: int) -> Any:
    return importlib.import_module(f"{_NAME}.models").GetTripsGroupsHours(hours)


def test_it_is_told_what_is_refused(generated: tuple[Served, Generated]) -> None:
    _, client = generated
    unknown = client.ask("answers.get_answer", "no_such_answer")
    assert (type(unknown).__name__, unknown.status) == ("Problem", 404)
    wrong = client.model("GetTableFilters", {"trips.gt": "many"})
    refused = client.ask("tables.get_table", "weekly_trips", filters=wrong)
    assert (refused.status, refused.errors[0].to_dict()["at"]) == (422, "trips.gt")


def test_it_sends_a_file_and_follows_it(
    generated: tuple[Served, Generated], tmp_path: Path
) -> None:
    types = importlib.import_module(f"{_NAME}.types")
    with serving(settings_of(tmp_path)) as served, Generated.of(served) as client:
        body = types.File(payload=(COLUMNS + ROW).encode())
        sent = client.ask("ingestions_of_trips.post_trips_ingestions", body=body, name="a.csv")
        form = client.model("PostTripsIngestionsFilesBody", {"file": b""})
        form.file = types.File(payload=(COLUMNS + ROW).encode(), file_name="b.csv")
        client.ask("ingestions_of_trips.post_trips_ingestions", body=form)
        eventually(lambda: served.runs.requested == 2)
        status = client.ask("ingestions_of_trips.get_trips_ingestion", sent.id)
        assert (status.name, status.status, status.bytes_) == (
            "a.csv",
            "queued",
            len(COLUMNS + ROW),
        )
        listed = client.ask("ingestions_of_trips.get_trips_ingestions", limit=1)
        assert [each.name for each in listed.items] == ["b.csv"]
        assert listed.next_ is not None
