"""Parameters that a route does not have: they are refused and named, never ignored."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from warehouse_assets_tests.api.serving import Served, serving, settings_of

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service over an empty house, for tests that leave it empty."""
    with serving(settings_of(tmp_path_factory.mktemp("shared"))) as found:
        yield found


def refused(served: Served, path: str, method: str = "GET") -> dict[str, Any]:
    """The problem for which a request is refused."""
    response = served.client.request(method, served.address + path)
    assert response.status_code == 422, (method, path, response.text)
    assert response.headers["Content-Type"] == PROBLEM
    problem: dict[str, Any] = response.json()
    return problem


def test_every_route_refuses_what_it_does_not_know_and_names_what_there_is(
    shared: Served,
) -> None:
    paths = shared.client.get(f"{shared.address}/openapi.json").json()["paths"]
    asked = 0
    for path, methods in paths.items():
        for method, operation in methods.items():
            parameters = operation.get("parameters", [])
            known = [found["name"] for found in parameters if found["in"] == "query"]
            address = path.replace("{", "").replace("}", "")
            problem = refused(shared, f"{address}?unheard-of=x", method)

            assert "'unheard-of'" in problem["detail"]
            assert [error["at"] for error in problem["errors"]] == ["unheard-of"]
            told = f"there are: {', '.join(known)}." if known else "takes no parameters."
            assert told in problem["detail"], (method, path)
            asked += 1
    assert asked >= 20
    for path in ("/openapi.json", "/static/page.js"):
        assert "takes no parameters" in refused(shared, f"{path}?v=1")["detail"]
    assert shared.service.ingestions.all() == []
    head = shared.client.head(f"{shared.address}/answers?unheard-of=x")
    assert (head.status_code, head.content) == (422, b"")


@pytest.mark.parametrize(
    ("path", "name", "there_are"),
    [
        ("/product/B1?form=2014-10-01", "form", "from, to"),
        ("/product/B1/reviews?form=2014-10-01", "form", "from, to"),
        ("/user/A1?From=2014-10-01", "From", "from, to"),
        ("/answers/weekly_trips?region=Prague", "region", "limit"),
        ("/answers/regions_with_cheap_mobile?limit=1", "limit", "format"),
        ("/answers/regions_with_cheap_mobile?after=x", "after", "format"),
        ("/trips/groups?hour=8", "hour", "hour_of_day"),
        ("/deliveries/average?format=csv", "format", "takes no parameters"),
        ("/trips/map.svg?format=json", "format", "region"),
        ("/health/live?verbose", "verbose", "takes no parameters"),
        ("/metrics?=x", "", "takes no parameters"),
    ],
)
def test_a_slip_is_named(shared: Served, path: str, name: str, there_are: str) -> None:
    problem = refused(shared, path)
    assert [error["at"] for error in problem["errors"]] == [name]
    assert there_are in problem["detail"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/product/B1?from=2014-01-01&from=2015-01-01", "from"),
        ("/product/B1/reviews?limit=1&limit=2", "limit"),
        ("/trips/groups?region=Prague&region=Brno", "region"),
        ("/answers/outlier_weeks?format=csv&format=json", "format"),
    ],
)
def test_a_parameter_is_given_once(shared: Served, path: str, name: str) -> None:
    problem = refused(shared, path)
    assert [error["at"] for error in problem["errors"]] == [name]
    assert "2 times" in problem["detail"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/trips/weekly-average?region=Prague&match=both", "match"),
        ("/trips/weekly-average?region=Prague&min_lon=14", "region"),
        ("/trips/weekly-average?min_lon=14&min_lat=50", "max_lon"),
        ("/trips/weekly-average", "region"),
    ],
)
def test_what_means_nothing_together_is_refused(shared: Served, path: str, name: str) -> None:
    assert [error["at"] for error in refused(shared, path)["errors"]] == [name]


def test_a_field_of_a_form_that_would_be_ignored_is_refused(shared: Served) -> None:
    response = shared.send_form(nmae=(None, "x"), file=("t.csv", b"region\n"))
    assert response.status_code == 422, response.text
    assert [error["at"] for error in response.json()["errors"]] == ["nmae"]
    assert shared.inbox == []


def test_who_has_no_key_is_told_that_first(tmp_path: Path) -> None:
    with serving(settings_of(tmp_path, API_KEYS="0" * 64)) as served:
        response = served.client.get(f"{served.address}/answers?unheard-of=x")
        assert response.status_code == 401
