import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from warehouse_assets.api.app import build_app
from warehouse_assets_tests.api.serving import (
    NoRuns,
    Served,
    assert_is_problem,
    serving,
    settings_of,
)

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service over an empty house, for tests that leave it empty."""
    settings = settings_of(tmp_path_factory.mktemp("shared"), UPLOAD_LIMIT="10MB")
    with serving(settings) as found:
        yield found


def test_runs_start_and_stop_with_the_service(tmp_path: Path) -> None:
    with serving(settings_of(tmp_path)) as served:
        assert served.runs.is_started
    assert served.runs.is_stopped


def test_every_error_is_a_problem_document(shared: Served) -> None:
    for method, path, status, word in [
        ("GET", "/nothing", 404, "/nothing"),
        ("GET", "/docs", 404, "/docs"),
        ("GET", "/static/../app.py", 404, "no"),
        ("GET", "/static/%2e%2e/app.py", 404, "no"),
        ("DELETE", "/trips/ingestions", 405, "DELETE"),
        ("GET", "/trips/ingestions/x", 404, "ingestion"),
        ("GET", "/trips/ingestions?limit=0", 422, "limit"),
        ("GET", "/trips/ingestions?limit=x", 422, "limit"),
        ("POST", "/trips/ingestions", 422, "no content"),
        ("GET", "/trips/weekly-average?region=Prague", 503, "warehouse"),
    ]:
        response = shared.client.request(method, shared.address + path)
        assert_is_problem(response, status, word)
        assert ("POST" in response.headers.get("Allow", "")) is (status == 405)


def refused(served: Served, path: str, *words: str, method: str = "GET") -> list[str]:
    """The names of the parameters for which a request is refused; all `words` are said."""
    response = served.client.request(method, served.address + path)
    assert_is_problem(response, 422, *words)
    return [error["at"] for error in response.json()["errors"]]


def test_every_route_refuses_what_it_does_not_know_and_names_what_there_is(
    shared: Served,
) -> None:
    paths = shared.client.get(f"{shared.address}/openapi.json").json()["paths"]
    asked = [(path, *found) for path, methods in paths.items() for found in methods.items()]
    assert len(asked) >= 20
    for path, method, operation in asked:
        parameters = operation.get("parameters", [])
        known = [found["name"] for found in parameters if found["in"] == "query"]
        told = f"there are: {', '.join(known)}." if known else "takes no parameters."
        address = path.replace("{", "").replace("}", "") + "?unheard-of=x"
        assert refused(shared, address, "'unheard-of'", told, method=method) == ["unheard-of"]
    for path in ("/openapi.json", "/static/page.js"):
        refused(shared, f"{path}?v=1", "takes no parameters")
    assert shared.service.ingestions.all() == []
    head = shared.client.head(f"{shared.address}/answers?unheard-of=x")
    assert (head.status_code, head.content) == (422, b"")


def test_a_slip_and_what_is_there_twice_is_named(shared: Served) -> None:
    for path, name, word in [
        ("/product/B1?form=2014-10-01", "form", "from, to"),
        ("/product/B1/reviews?form=2014-10-01", "form", "from, to"),
        ("/user/A1?From=2014-10-01", "From", "from, to"),
        ("/answers/weekly_trips?region=Prague", "region", "limit"),
        ("/answers/regions_with_cheap_mobile?limit=1", "limit", "format"),
        ("/trips/groups?hour=8", "hour", "hour_of_day"),
        ("/deliveries/average?format=csv", "format", "takes no parameters"),
        ("/trips/map.svg?format=json", "format", "region"),
        ("/metrics?=x", "", "takes no parameters"),
        ("/product/B1?from=2014-01-01&from=2015-01-01", "from", "2 times"),
        ("/product/B1/reviews?limit=1&limit=2", "limit", "2 times"),
        ("/trips/groups?region=Prague&region=Brno", "region", "2 times"),
        ("/answers/outlier_weeks?format=csv&format=json", "format", "2 times"),
    ]:
        assert refused(shared, path, word) == [name]


def test_head_is_answered_as_get_is_but_without_the_body(served: Served) -> None:
    for path in ("/answers", "/", "/health/live", "/product/B1", "/nothing"):
        get = served.client.get(served.address + path)
        head = served.client.head(served.address + path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        same = ("Content-Type", "Content-Length", "Vary")
        assert [head.headers.get(name) for name in same] == [get.headers.get(name) for name in same]
    events = f"{served.address}/trips/ingestions/{served.create().id}/events"
    assert served.client.head(events).status_code == 405


def test_a_fault_of_the_service_tells_nothing_of_its_inside(tmp_path: Path) -> None:
    app = build_app(settings_of(tmp_path), NoRuns())

    @app.get("/fault")
    def fault() -> None:
        raise KeyError("s3cret")

    with serving(settings_of(tmp_path), app=app) as served:
        response = served.client.get(f"{served.address}/fault")

    assert_is_problem(response, 500)
    assert "s3cret" not in response.text


def test_the_description_has_every_route_with_its_errors_and_names_no_other_host(
    shared: Served,
) -> None:
    text = shared.client.get(f"{shared.address}/openapi.json").text
    description = json.loads(text)

    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (path, method)
            for status, response in operation["responses"].items():
                if status == "default":
                    assert list(response["content"]) == [PROBLEM], (path, method)
    upload = description["paths"]["/trips/ingestions"]["post"]
    assert upload["responses"].keys() == {"202", "default"}
    assert "text/csv" in upload["requestBody"]["content"]
    assert "cdn" not in text


def test_a_browser_gets_a_page_and_everybody_else_json(shared: Served) -> None:
    page = shared.client.get(shared.address, headers={"Accept": "text/html,*/*;q=0.8"})
    offered = shared.client.get(shared.address)

    assert page.headers["Content-Type"].startswith("text/html")
    assert page.headers["Vary"] == offered.headers["Vary"] == "Accept"
    assert offered.json()["upload_limit"] == 10_000_000
    assert "/trips/ingestions" in offered.json()["routes"]


def test_the_page_and_what_belongs_to_it_name_no_other_host(shared: Served) -> None:
    static = Path(build_app.__code__.co_filename).with_name("static")
    assert {path.name for path in static.iterdir()} >= {"index.html", "page.js", "page.css"}
    for path in static.iterdir():
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "//" not in text.replace("// ", ""), path
        if path.name != "index.html":
            response = shared.client.get(f"{shared.address}/static/{path.name}")
            assert response.text == path.read_text("utf-8")


def test_browsers_are_told_to_load_nothing_from_elsewhere(shared: Served) -> None:
    for path in ("/", "/static/page.js", "/trips/ingestions", "/nothing"):
        headers = shared.client.get(shared.address + path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_pages_of_other_sites_may_not_send_files(served: Served) -> None:
    for origin in ("http://example.com", "null", "http://127.0.0.1:1"):
        assert served.send(b"x,y", headers={"Origin": origin}).status_code == 403
    assert served.inbox == []
    served.ingestion(served.send(b"x,y", headers={"Origin": served.address}))
    served.ingestion(served.send(b"x,y", headers={"Origin": "http://127.0.0.1:8642"}))  # API_URL


def test_a_service_of_this_machine_only_knows_its_own_names(shared: Served) -> None:
    url = f"{shared.address}/trips/ingestions"

    rebound = shared.client.get(url, headers={"Host": "rebound.example.com"})
    assert_is_problem(rebound, 400, "API_URL")
    assert shared.client.get(url, headers={"Host": "localhost:1234"}).status_code == 200


def test_a_service_that_listens_everywhere_may_be_called_anything(tmp_path: Path) -> None:
    with serving(settings_of(tmp_path, API_HOST="0.0.0.0")) as served:
        url = f"{served.address}/trips/ingestions"
        assert served.client.get(url, headers={"Host": "warehouse.example"}).status_code == 200
