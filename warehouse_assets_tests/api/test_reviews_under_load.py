"""Many ask while the pipeline publishes again and again."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from warehouse_assets_tests.api.reviewing import KINDS, ReviewHouse
from warehouse_assets_tests.api.serving import client
from warehouse_assets_tests.defs.reviews.databases import review

_CONNECTIONS = 8
_PRODUCTS = 8
_ROUNDS = 2
_SECONDS_BETWEEN_REQUESTS = 0.05  # the machine has other things to do


def publish_round(house: ReviewHouse, number: int) -> None:
    """In each round each product gets a 1 and a 5, on the same two days."""
    house.take(
        review(
            2 * product + rating,
            index=number,
            overall=float(rating),
            productID=f"B{product}",
            unixReviewTime=1_388_534_400 + 86400 * 40 * (rating // 5),
        )
        for product in range(_PRODUCTS)
        for rating in (1, 5)
    )


def ask(address: str, first: int, is_over: Callable[[], bool]) -> None:
    """Ask for product after product on one connection; fail where an answer is not whole."""
    seen: Counter[str] = Counter()  # tables are published one after the other
    requests = 0
    with client() as session:
        while requests <= 2 * _PRODUCTS or not is_over():
            product, is_page = (first + requests) % _PRODUCTS, requests % 3 == 2
            path = f"/product/B{product}" + ("/reviews?limit=100" if is_page else "")
            response = session.get(address + path, timeout=30)
            assert response.status_code == 200, response.text
            told = response.json()
            count = len(told["reviews"]) if is_page else told["reviews"]
            assert count >= seen[path]
            assert count % 2 == 0
            seen[path] = count
            if not is_page:
                assert told["average_rating"] == 3.0
                assert told["stars"]["1"]["count"] == told["stars"]["5"]["count"] == count / 2
                assert sum(month["reviews"] for month in told["months"]) == count
            requests += 1
            time.sleep(_SECONDS_BETWEEN_REQUESTS)


@pytest.mark.parametrize("kind", KINDS)
def test_no_request_fails_and_no_answer_is_half_published(tmp_path: Path, kind: str) -> None:
    house = ReviewHouse(tmp_path, kind)
    publish_round(house, 1)
    stop = threading.Event()
    with house.served() as served, ThreadPoolExecutor(_CONNECTIONS) as pool:
        asking = [pool.submit(ask, served.address, n, stop.is_set) for n in range(_CONNECTIONS)]
        try:
            for number in range(_ROUNDS):
                publish_round(house, number + 2)
        finally:
            stop.set()
        for found in asking:
            found.result()
        for product in range(_PRODUCTS):
            told = served.client.get(f"{served.address}/product/B{product}").json()
            assert told["reviews"] == 2 * (_ROUNDS + 1)
