import json
from pathlib import Path

from warehouse_assets.api.app import build_app
from warehouse_assets_tests.api.reviewing import ReviewHouse
from warehouse_assets_tests.api.serving import Served, assert_is_problem
from warehouse_assets_tests.defs.reviews.databases import review


def test_the_service_is_live_without_a_warehouse_but_not_ready(served: Served) -> None:
    live = served.client.get(f"{served.address}/health/live")
    assert (live.status_code, live.json()) == (200, {"status": "live"})
    assert_is_problem(served.client.get(f"{served.address}/health/ready"), 503)


def test_a_ready_service_tells_the_age_of_each_family(tmp_path: Path) -> None:
    house = ReviewHouse(tmp_path)
    house.take([review(1)])
    with house.served() as served:
        response = served.client.get(f"{served.address}/health/ready")
    assert response.status_code == 200
    assert response.json()["status"] == "ready"
    families = response.json()["families"]
    assert {"forum", "school", "trips", "reviews", "deliveries"} == families.keys()
    assert families["forum"] == {"changed_at": None, "age_seconds": None}
    assert 0 <= families["reviews"]["age_seconds"] < 60


def test_the_description_has_every_route_with_its_errors_and_names_no_other_host(
    shared: Served,
) -> None:
    text = shared.client.get(f"{shared.address}/openapi.json").text
    description = json.loads(text)

    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (path, method)
            for status, response in operation["responses"].items():
                if status == "default" or status >= "400":
                    named = response.get("$ref", "#/components/responses/Refusal404")
                    found = description["components"]["responses"][named.rpartition("/")[2]]
                    content = response.get("content", found["content"])
                    assert "application/problem+json" in content, (path, method, status)
    upload = description["paths"]["/trips/ingestions"]["post"]
    assert upload["responses"].keys() >= {"202", "401", "403", "413", "415", "422", "507"}
    body = upload["requestBody"]
    assert list(body["content"]) == ["application/octet-stream", "multipart/form-data"]
    assert "text/csv" in body["description"]
    assert "cdn" not in text


def test_a_browser_gets_a_page_and_everybody_else_json(shared: Served) -> None:
    page = shared.client.get(shared.address, headers={"Accept": "text/html,*/*;q=0.8"})
    offered = shared.client.get(shared.address)

    assert page.headers["Content-Type"].startswith("text/html")
    assert page.headers["Vary"] == offered.headers["Vary"] == "Accept"
    assert offered.json()["upload_limit"] == 10_000_000
    assert "/trips/ingestions" in offered.json()["routes"]


def test_the_script_of_charts_is_made_once_and_packed(shared: Served) -> None:
    address = f"{shared.address}/static/vega.js"
    packed = shared.client.get(address)
    plain = shared.client.get(address, headers={"Accept-Encoding": "identity"})

    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) < len(packed.content) / 2
    assert "Content-Encoding" not in plain.headers
    assert plain.content == packed.content
    assert b"vegaEmbed" in plain.content
    assert packed.headers["Content-Type"].startswith("text/javascript")
    assert "max-age=86400" in packed.headers["Cache-Control"]


def test_the_page_and_what_belongs_to_it_name_no_other_host(shared: Served) -> None:
    static = Path(build_app.__code__.co_filename).with_name("static")
    assert {path.name for path in static.iterdir()} >= {"index.html", "page.js", "page.css"}
    for path in static.iterdir():
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "//" not in text.replace("// ", ""), path
        if path.suffix != ".html":
            response = shared.client.get(f"{shared.address}/static/{path.name}")
            assert response.text == path.read_text("utf-8")
