import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from warehouse_assets.api.app import build_app
from warehouse_assets_tests.api.reviewing import ReviewHouse
from warehouse_assets_tests.api.serving import (
    NoRuns,
    Served,
    assert_is_problem,
    serving,
    settings_of,
)
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


def test_requests_under_way_are_answered_before_the_service_ends_or_told_that_it_does(
    tmp_path: Path,
) -> None:
    app = build_app(settings_of(tmp_path), NoRuns())
    asked = {path: threading.Event() for path in ("slow", "endless")}
    may_end = threading.Event()

    @app.get("/slow")
    def slow() -> str:
        asked["slow"].set()
        may_end.wait(60)
        return "done"

    @app.get("/endless")
    async def endless() -> None:
        asked["endless"].set()
        await asyncio.sleep(60)

    with (
        ThreadPoolExecutor() as pool,
        serving(settings_of(tmp_path), app=app, seconds_at_the_end=1) as served,
    ):
        answers = [pool.submit(requests.get, f"{served.address}/{path}") for path in asked]
        assert all(event.wait(60) for event in asked.values())
        threading.Timer(0.3, may_end.set).start()
    assert answers[0].result().json() == "done"
    assert_is_problem(answers[1].result(), 503)
