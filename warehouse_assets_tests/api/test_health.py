import asyncio
import threading
from pathlib import Path

import requests

from warehouse_assets.api.app import build_app
from warehouse_assets_tests.api.reviewing import ReviewHouse
from warehouse_assets_tests.api.serving import (
    NoRuns,
    Served,
    serving,
    settings_of,
)
from warehouse_assets_tests.defs.reviews.databases import review


def test_the_service_is_live_without_a_warehouse_but_not_ready(served: Served) -> None:
    live = served.client.get(f"{served.address}/health/live")
    assert (live.status_code, live.json()) == (200, {"status": "live"})
    ready = served.client.get(f"{served.address}/health/ready")
    assert ready.status_code == 503
    assert int(ready.headers["Retry-After"]) > 0


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


def test_a_request_under_way_is_answered_before_the_service_ends(tmp_path: Path) -> None:
    app = build_app(settings_of(tmp_path), NoRuns())

    asked, may_end = threading.Event(), threading.Event()

    @app.get("/slow")
    def slow() -> str:
        asked.set()
        may_end.wait(60)
        return "done"

    answers: list[requests.Response] = []
    with serving(settings_of(tmp_path), app=app) as served:
        url = f"{served.address}/slow"
        asking = threading.Thread(target=lambda: answers.append(served.client.get(url)))
        asking.start()
        assert asked.wait(60)
        threading.Timer(0.5, may_end.set).start()
    asking.join()
    assert [answer.json() for answer in answers] == ["done"]


def test_a_request_that_takes_too_long_is_told_that_the_service_ends(tmp_path: Path) -> None:
    app = build_app(settings_of(tmp_path), NoRuns())
    asked = threading.Event()

    @app.get("/endless")
    async def endless() -> None:
        asked.set()
        await asyncio.sleep(60)

    answers: list[requests.Response] = []
    with serving(settings_of(tmp_path), app=app, seconds_at_the_end=1) as served:
        url = f"{served.address}/endless"
        asking = threading.Thread(target=lambda: answers.append(served.client.get(url)))
        asking.start()
        assert asked.wait(60)
    asking.join()
    assert [answer.status_code for answer in answers] == [503]
    assert answers[0].headers["Content-Type"] == "application/problem+json"
    assert int(answers[0].headers["Retry-After"]) > 0
