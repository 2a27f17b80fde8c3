import csv
import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from warehouse_assets.defs.reviews.tables import REVIEWER_REVIEWS_DAILY
from warehouse_assets.lake import maintain
from warehouse_assets_tests.api.reviewing import (
    KINDS,
    ReviewHouse,
    expected,
    expected_reviews,
    moment,
)
from warehouse_assets_tests.api.serving import Served, assert_is_problem, pages
from warehouse_assets_tests.defs.reviews.databases import Review, review
from warehouse_assets_tests.history import rounds

_MIDNIGHT = 1_388_534_400  # 2014-01-01T00:00:00Z
_STRANGE = ["a/b", "a/reviews", "ü ☃", "100%", "?x=1&y", "'; DROP TABLE reviews; --", "..x", "%2F"]


def _reviews() -> list[Review]:
    """Reviews at and around midnight, of ids by chance, at different seconds."""
    chance = random.Random(6)
    reviews = [
        review(
            number,
            overall=chance.choice([1.0, 2.0, 3.0, 4.0, 4.5, 5.0, None]),
            verified=chance.choice([0, 1]),
            reviewerID=f"A{chance.randrange(9)}",
            productID=f"B{chance.randrange(5)}",
            unixReviewTime=_MIDNIGHT + chance.choice([-86400, 0, 86400, 40 * 86400]) + number - 60,
            vote=chance.choice([None, "1,234"]),
        )
        for number in range(120)
    ]
    at_midnight = [
        review(1000 + n, productID="midnight", unixReviewTime=_MIDNIGHT + seconds)
        for n, seconds in enumerate([-86401, -86400, -1, 0, 86399, 86400])
    ]
    strange = [review(2000 + n, productID=name, reviewerID=name) for n, name in enumerate(_STRANGE)]
    unrated = [review(3000, productID="unrated", overall=None)]
    same_time = [review(4000, productID="same", reviewText=str(n % 7)) for n in range(25)]
    return [*reviews, *at_midnight, *strange, *unrated, *same_time]


class Asked:
    """A service over reviews, and they."""

    def __init__(self, house: ReviewHouse, served: Served) -> None:
        self.house = house
        self.served = served

    def get(self, path: str, **options: Any) -> Any:
        return self.served.client.get(self.served.address + path, **options)

    def of(self, column: str, id_: str) -> list[Review]:
        return [found for found in self.house.reviews if found[column] == id_]


@pytest.fixture(scope="module", params=KINDS)
def asked(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    house = ReviewHouse(tmp_path_factory.mktemp("reviews"), request.param)
    house.take(_reviews())
    with house.served() as served:
        yield Asked(house, served)


def test_the_answer_about_every_id_is_what_plain_python_computes(asked: Asked) -> None:
    for column, prefix in (("productID", "/product/"), ("reviewerID", "/user/")):
        for id_ in {found[column] for found in asked.house.reviews}:
            response = asked.get(prefix + quote(id_, safe=""))
            assert response.status_code == 200, id_
            assert response.json() == expected(id_, asked.of(column, id_))


def test_what_was_published_a_moment_ago_is_answered_from_the_lake(asked: Asked) -> None:
    for column, prefix in (("productID", "/product/"), ("reviewerID", "/user/")):
        for id_ in {found[column] for found in asked.house.reviews}:
            path = prefix + quote(id_, safe="")
            for days in ({}, {"from": "2013-12-31", "to": "2014-01-01"}):
                now = asked.get(path, params=days)
                assert asked.get(path, params={**days, "as_of": "now"}).json() == now.json(), id_
            every = pages(asked.served, f"{path}/reviews", limit=3)
            assert pages(asked.served, f"{path}/reviews", limit=3, as_of="now") == every, id_
    assert asked.get("/product/nothing", params={"as_of": "now"}).status_code == 404
    assert asked.get("/product/B1", params={"as_of": "2001-01-01"}).status_code == 422


def test_a_product_is_as_it_was_then(tmp_path: Path) -> None:
    house, found = ReviewHouse(tmp_path), []
    for number in (1, 2):
        house.take([review(number, productID="B1", reviewerID="A1")])
        found.append(rounds.moment())
    with house.served() as served:
        for path, field in (("/product/B1", "reviews"), ("/user/A1", "reviews")):
            counts = [
                served.client.get(served.address + path, params={"as_of": then}).json()[field]
                for then in found
            ]
            assert counts == [1, 2]
        texts = [
            served.client.get(f"{served.address}/user/A1/reviews", params={"as_of": then}).json()
            for then in found
        ]
        assert [len(each["reviews"]) for each in texts] == [1, 2]
        stored = house.lake.table(REVIEWER_REVIEWS_DAILY)
        maintain(house.lake, stored, 0)
        gone = served.client.get(f"{served.address}/user/A1", params={"as_of": found[0]})
        assert_is_problem(gone, 410, "The oldest that there is")


def test_days_begin_and_end_at_midnight_and_are_included(asked: Asked) -> None:
    for first, last in [
        ("2013-12-31", "2013-12-31"),
        ("2014-01-01", "2014-01-01"),
        ("2014-01-01", None),
        (None, "2013-12-31"),
        ("2013-12-30", "2014-01-02"),
    ]:
        days = {name: day for name, day in (("from", first), ("to", last)) if day}
        for id_ in ("midnight", "B2"):
            inside = [
                found
                for found in asked.of("productID", id_)
                if (first or "") <= str(moment(found).date()) <= (last or "9")
            ]
            assert asked.get(f"/product/{id_}", params=days).json() == expected(id_, inside)


def test_a_known_id_without_reviews_in_the_days_has_zeros_and_nulls(asked: Asked) -> None:
    for days in ({"from": "2030-01-01"}, {"to": "0001-01-01"}):
        response = asked.get("/user/A1", params=days)
        assert response.status_code == 200
        assert response.json() == expected("A1", [])
        assert asked.get("/user/nobody", params=days).status_code == 404


def _all(asked: Asked, path: str, **values: Any) -> list[Any]:
    return [found for page in pages(asked.served, path, **values) for found in page["reviews"]]


def test_pages_hold_every_review_once_newest_first(asked: Asked) -> None:
    for limit in (1, 7, 100):
        found = _all(asked, "/product/B3/reviews", limit=limit)
        assert found == expected_reviews(asked.of("productID", "B3"))
    by_user = asked.get("/user/A2/reviews", params={"limit": 100}).json()["reviews"]
    assert by_user == expected_reviews(asked.of("reviewerID", "A2"))
    of_one_second = [found["text"] for found in _all(asked, "/product/same/reviews", limit=4)]
    assert sorted(of_one_second) == sorted(str(n % 7) for n in range(25))


def _times(response: Any) -> list[str]:
    return [found["reviewed_at"] for found in response.json()["reviews"]]


_AT_MIDNIGHT = [
    "2014-01-02T00:00:00",
    "2014-01-01T23:59:59",
    "2014-01-01T00:00:00",
    "2013-12-31T23:59:59",
    "2013-12-31T00:00:00",
    "2013-12-30T23:59:59",
]


def test_reviews_are_those_of_the_days_on_every_page(asked: Asked) -> None:
    for days, first, last in [
        ("", 0, 6),
        ("from=2014-01-01&to=2014-01-01", 1, 3),
        ("from=2013-12-31&to=2014-01-01", 1, 5),
        ("from=2014-01-01", 0, 3),
        ("to=2013-12-31", 3, 6),
        ("to=2013-12-29", 6, 6),
        ("from=9999-12-31", 0, 0),
        ("from=0001-01-01&to=9999-12-31", 0, 6),
    ]:
        expected_times = _AT_MIDNIGHT[first:last]
        address = f"/product/midnight/reviews?{days}"
        assert _times(asked.get(address)) == expected_times
        rows = list(csv.DictReader(io.StringIO(asked.get(f"{address}&format=csv").text)))
        assert [row["reviewed_at"] for row in rows] == expected_times

        for kept in ("", f"&{days}"):  # what `next` keeps may be said again
            page = asked.get(f"{address}&limit=2")
            times = _times(page)
            while (after := page.json()["next"]) is not None:
                page = asked.get(f"{address.partition('?')[0]}?limit=2&after={after}{kept}")
                times += _times(page)
            assert times == expected_times


def test_a_page_is_not_gone_on_from_with_other_days(asked: Asked) -> None:
    for days in ("", "&to=2014-01-01"):
        page = asked.get(f"/product/midnight/reviews?limit=1{days}").json()
        address = f"/product/midnight/reviews?after={page['next']}&from=2013-12-31"
        response = asked.get(address)
        assert response.status_code == 422
        assert "with these days" in response.json()["detail"]
    for days in ("from=2014-02-30", "to=x", "from=2014-01-02&to=2014-01-01"):
        assert asked.get(f"/user/A1/reviews?{days}").status_code == 422
    assert asked.get("/user/nobody/reviews?from=2014-01-01").status_code == 404
    assert asked.get("/user/A1/reviews?from=2030-01-01").json()["reviews"] == []


def test_an_id_whose_end_is_a_route_is_told_apart_by_its_encoded_slash(asked: Asked) -> None:
    assert asked.get("/product/a%2Freviews").json()["id"] == "a/reviews"
    assert asked.get("/product/a%2Freviews/reviews").json()["id"] == "a/reviews"
    assert asked.get("/product/a%2Fb").json() == asked.get("/product/a/b").json()
    assert asked.get("/product/a/reviews").status_code == 404


_REFUSED = [
    ("/product/nope", 404),
    ("/product/" + quote("' OR 1=1 --", safe=""), 404),
    ("/product/%00", 404),
    ("/product/B1%00", 404),
    ("/product/%FF", 404),
    ("/product/%ED%A0%80", 404),  # a lone surrogate
    ("/product/%", 404),
    ("/product/", 404),
    ("/user//reviews", 404),
    ("/product/" + "x" * 2000, 404),
    ("/product/" + "x" * 2001, 422),
    ("/user/" + "%C3%BC" * 2001 + "/reviews", 422),
    ("/product/B1?from=2014-02-30", 422),
    ("/product/B1?from=yesterday", 422),
    ("/product/B1?to=20140101", 422),
    ("/product/B1?to=", 422),
    ("/product/B1?from=2014-01-02&to=2014-01-01", 422),
    ("/product/B1?format=xml", 422),
    ("/product/B1/reviews?limit=0", 422),
    ("/product/B1/reviews?limit=101", 422),
    ("/product/B1/reviews?limit=x", 422),
    ("/product/B1/reviews?after=x", 422),
    ("/product/B1/reviews?after=W10", 422),
    ("/product/B1/reviews?after=" + "W" * 3000, 422),
    ("/product/B1/reviews?after=WzEsMiwzXQ", 422),
    ("/product/B1/reviews?after=%FF", 422),
    # A place with days that are none: of another type, or none of the calendar.
    ("/product/B1/reviews?after=WyIyMDE0LTAxLTAxVDAwOjAwOjAwIiwgMSwgMSwgNSwgbnVsbF0", 422),
]


def test_what_cannot_be_answered_is_a_problem_and_no_fault(asked: Asked) -> None:
    for path, status in _REFUSED:
        assert_is_problem(asked.get(path), status)


def test_csv_holds_what_json_does(asked: Asked) -> None:
    told = asked.get("/product/B1").json()
    for response in (
        asked.get("/product/B1?format=csv"),
        asked.get("/product/B1", headers={"Accept": "text/csv"}),
    ):
        assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert response.headers["Vary"] == "Accept"
        (row,) = csv.DictReader(io.StringIO(response.text))
        assert row["reviews"] == str(told["reviews"])
        assert float(row["average_rating"]) == told["average_rating"]
        assert [row[f"stars_{n}"] for n in range(1, 6)] == [
            str(star["count"]) for star in told["stars"].values()
        ]
    page = asked.get("/product/B1/reviews?limit=3").json()["reviews"]
    rows = csv.DictReader(io.StringIO(asked.get("/product/B1/reviews?limit=3&format=csv").text))
    assert [row["text"] for row in rows] == [found["text"] for found in page]
