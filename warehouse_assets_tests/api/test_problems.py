from pathlib import Path

from warehouse_assets.api.app import build_app
from warehouse_assets_tests.api.serving import (
    NoRuns,
    Served,
    assert_is_problem,
    serving,
    settings_of,
)


def test_every_error_is_a_problem_document(shared: Served) -> None:
    for method, path, status, word in [
        ("GET", "/nothing", 404, "/nothing"),
        ("GET", "/redoc", 404, "/redoc"),
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


def test_a_fault_of_the_service_tells_nothing_of_its_inside(tmp_path: Path) -> None:
    app = build_app(settings_of(tmp_path), NoRuns())

    @app.get("/fault")
    def fault() -> None:
        raise KeyError("s3cret")

    with serving(settings_of(tmp_path), app=app) as served:
        response = served.client.get(f"{served.address}/fault")

    assert_is_problem(response, 500)
    assert "s3cret" not in response.text
