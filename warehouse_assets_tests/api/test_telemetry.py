from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from warehouse_assets_tests.api.reviewing import ReviewHouse
from warehouse_assets_tests.api.serving import Served
from warehouse_assets_tests.defs.reviews.databases import review


def samples(served: Served) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    response = served.client.get(f"{served.address}/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def of(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_requests_are_counted_by_route_and_status_and_no_label_is_an_id(tmp_path: Path) -> None:
    house = ReviewHouse(tmp_path)
    house.take([review(1)])
    with house.served() as served:
        for path in ("/product/B1", "/product/B1", "/product/nope", "/nothing", "/static/page.js"):
            served.client.get(served.address + path)
        served.client.request("BREW", f"{served.address}/answers")
        found = samples(served)

    requests = "warehouse_requests_total"
    product = "/product/{product_id}"
    assert found[of(requests, method="GET", route=product, status="200")] == 2
    assert found[of(requests, method="GET", route=product, status="404")] == 1
    assert found[of(requests, method="GET", route="none", status="404")] == 1
    assert found[of(requests, method="GET", route="/static", status="200")] == 1
    assert found[of("warehouse_request_seconds_count", method="GET", route=product)] == 3
    assert found[of("warehouse_kept_answers_total", outcome="hit")] == 1
    assert found[of("warehouse_kept_answers_total", outcome="miss")] == 2
    assert 0 <= found[of("warehouse_data_age_seconds", family="reviews")] < 60
    labels = {value for _, pairs in found for name, value in pairs if name != "le"}
    assert not labels & {"B1", "nope", "BREW"}
