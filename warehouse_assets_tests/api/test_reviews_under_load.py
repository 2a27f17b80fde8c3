"""Many ask while the pipeline publishes again and again."""

import json
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from warehouse_assets_tests.api.reviewing import KINDS, ReviewHouse
from warehouse_assets_tests.api.serving import eventually
from warehouse_assets_tests.defs.reviews.databases import review

_CONNECTIONS = 16
_PRODUCTS = 8
_ROUNDS = 3
_SECONDS_BETWEEN_REQUESTS = 0.02  # the machine has other things to do


class Client(threading.Thread):
    """Asks for product after product on one connection, and keeps what is not as it should be."""

    def __init__(self, address: str, number: int, stop: threading.Event) -> None:
        super().__init__()
        self.connection = HTTPConnection(address.removeprefix("http://"), timeout=30)
        self.number = number
        self.stop = stop
        self.seen: list[int] = [0] * _PRODUCTS
        self.wrong: list[Any] = []
        self.requests = 0

    def run(self) -> None:
        while not self.stop.is_set():
            product = (self.number + self.requests) % _PRODUCTS
            try:
                self._ask(product)
            except OSError as error:
                self.wrong.append(error)
                return
            self.requests += 1
            time.sleep(_SECONDS_BETWEEN_REQUESTS)

    def _ask(self, product: int) -> None:
        is_page = self.requests % 3 == 2
        self.connection.request(
            "GET", f"/product/B{product}" + ("/reviews?limit=100" if is_page else "")
        )
        response = self.connection.getresponse()
        body = response.read()
        if response.status != 200:
            self.wrong.append((response.status, body))
        elif is_page:
            # Of a round all reviews of a product are there, or none.
            self._expect(not len(json.loads(body)["reviews"]) % 2, body)
        else:
            self._look_at(product, json.loads(body))

    def _look_at(self, product: int, told: Any) -> None:
        count = told["reviews"]
        self._expect(count >= self.seen[product] and count % 2 == 0, told)
        self.seen[product] = count
        # In each round each product gets a 1 and a 5, on the same two days.
        self._expect(told["average_rating"] == 3.0, told)
        self._expect(told["stars"]["1"]["count"] == told["stars"]["5"]["count"] == count / 2, told)
        self._expect(sum(month["reviews"] for month in told["months"]) == count, told)

    def _expect(self, holds: bool, told: Any) -> None:
        if not holds:
            self.wrong.append(told)


@pytest.mark.parametrize("kind", KINDS)
def test_no_request_fails_and_no_answer_is_half_published(tmp_path: Path, kind: str) -> None:
    house = ReviewHouse(tmp_path, kind)
    number = 0

    def publish_more() -> None:
        nonlocal number
        number += 1
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

    publish_more()
    stop = threading.Event()
    with house.served() as served:
        clients = [Client(served.address, n, stop) for n in range(_CONNECTIONS)]
        for client in clients:
            client.start()
        for _ in range(_ROUNDS):
            publish_more()
        eventually(lambda: all(client.requests > 2 * _PRODUCTS for client in clients))
        final = {
            f"B{n}": served.client.get(f"{served.address}/product/B{n}").json()
            for n in range(_PRODUCTS)
        }
        stop.set()
        for client in clients:
            client.join()
            client.connection.close()

    assert [client.wrong for client in clients] == [[]] * _CONNECTIONS
    assert {told["reviews"] for told in final.values()} == {2 * (_ROUNDS + 1)}
