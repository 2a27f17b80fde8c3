"""The server of batches: as real ones answer, and as they fail."""

import json
from collections.abc import Iterator
from random import Random

import pytest
import requests

from warehouse_assets.errors import SettingError
from warehouse_assets.samples.batch_server import BatchServer
from warehouse_assets.samples.school import Batch

# Four in a second: 250 batches from 10:00:00.100000 on.
BATCHES = [
    Batch(n, f"Batch {n}", f"2026-11-20 10:{n // 4 // 60:02}:{n // 4 % 60:02}.{n % 4}00001")
    for n in range(1, 251)
]


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with BatchServer(lambda: BATCHES) as server:
        yield server


def get(server: BatchServer, path: str = "/batches", **query: str) -> requests.Response:
    return requests.get(server.address + path, params=query, timeout=60)


def numbers(response: requests.Response) -> list[int]:
    return [record["id"] for record in response.json()]


def test_a_page_is_the_first_hundred_batches(server: BatchServer) -> None:
    response = get(server)

    assert response.status_code == 200
    assert response.headers["Content-type"] == "text/html"
    assert numbers(response) == list(range(1, 101))
    first = {"id": 1, "name": "Batch 1", "created_at": "2026-11-20 10:00:00.100001"}
    assert response.json()[0] == first
    assert get(server, "/school/batches/").json()[0] == first
    assert get(server, "/students").status_code == 404
    assert get(server, after="yesterday").status_code == 400


def test_after_compares_whole_seconds(server: BatchServer) -> None:
    for after, found in (
        ("10:00:25.000", range(100, 200)),
        ("10:00:25.999", range(100, 200)),
        ("10:01:02.200", range(248, 251)),
        ("10:01:03.000", []),
    ):
        assert numbers(get(server, after=f"2026-11-20T{after}")) == list(found)


def test_batches_that_begin_are_served() -> None:
    grown = [BATCHES]
    with BatchServer(lambda: grown[-1]) as server:
        before = numbers(get(server, after="2026-11-20T10:01:03.000"))
        grown.append([*BATCHES, Batch(251, "New", "2026-11-20 10:02:00.000000")])
        after = numbers(get(server, after="2026-11-20T10:01:03.000"))

    assert (before, after) == ([], [251])


def test_a_port_in_use_is_refused_with_what_to_do(server: BatchServer) -> None:
    port = int(server.address.rsplit(":", 1)[1])

    with pytest.raises(SettingError, match=f"port {port}: Address already in use.*--port"):
        BatchServer(list, port)


def test_every_failure_occurs_never_three_in_a_row_and_then_the_page_comes() -> None:
    seen: set[str] = set()
    in_a_row = 0
    with BatchServer(lambda: BATCHES, chance=Random(1), longest_delay=0.11) as server:
        for _ in range(150):
            failure = answer(server)
            seen.add(failure)
            in_a_row = in_a_row + 1 if failure else 0
            assert in_a_row <= 2
        assert server.requests == 150
        assert 0 < server.failures < 75
    assert seen == {"", "500", "503, again in 1", "broken off", "no JSON", "a page"}


def answer(server: BatchServer) -> str:
    """What is wrong with the answer to a request."""
    try:
        response = get(server)
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
        return "broken off"
    if response.status_code == 503:
        return f"503, again in {response.headers['Retry-After']}"
    if response.status_code != 200:
        return str(response.status_code)
    try:
        assert numbers(response) == list(range(1, 101))
    except json.JSONDecodeError:
        return "a page" if response.text.startswith("<!DOCTYPE html>") else "no JSON"
    return ""
