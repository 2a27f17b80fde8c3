"""A warehouse that is away, and comes back, while the service runs."""

import shutil
from pathlib import Path

from warehouse_assets.defs.reviews.tables import PRODUCT_REVIEWS_DAILY
from warehouse_assets.warehouse import publish
from warehouse_assets_tests.api.reviewing import ReviewHouse
from warehouse_assets_tests.api.serving import Served, assert_is_problem, eventually
from warehouse_assets_tests.defs.reviews.databases import review
from warehouse_assets_tests.postgres import execute, server_url

_PATHS = ("/product/B1", "/product/B1/reviews", "/user/A1", "/product/B1?format=csv")


def statuses(served: Served) -> set[int]:
    found = set()
    for path in _PATHS:
        response = served.client.get(served.address + path)
        found.add(response.status_code)
        if response.status_code == 503:
            assert_is_problem(response, 503)
    return found


def test_a_missing_file_is_said_and_a_new_one_is_read(tmp_path: Path) -> None:
    house = ReviewHouse(tmp_path)
    with house.served() as served:
        assert statuses(served) == {503}
        assert served.client.get(f"{served.address}/health/ready").status_code == 503
        house.take([review(1)])
        assert statuses(served) == {200}
        for path in house.warehouse.path.parent.glob("warehouse.db*"):
            path.unlink()
        assert statuses(served) == {503}
        house.take([review(2)])
        assert served.client.get(f"{served.address}/product/B1").json()["reviews"] == 2


def test_a_file_in_the_place_of_the_old_one_is_read_at_once(tmp_path: Path) -> None:
    house, other = ReviewHouse(tmp_path / "a"), ReviewHouse(tmp_path / "b")
    house.take([review(1)])
    other.take([review(2), review(3)])
    other.warehouse.maintain()
    with house.served() as served:
        assert served.client.get(f"{served.address}/product/B1").json()["reviews"] == 1
        house.warehouse.maintain()
        shutil.move(other.warehouse.path, house.warehouse.path)
        assert served.client.get(f"{served.address}/product/B1").json()["reviews"] == 2


def test_a_table_that_is_not_published_yet_is_named_and_a_file_that_is_no_database_said(
    tmp_path: Path,
) -> None:
    house = ReviewHouse(tmp_path)
    with house.warehouse.write():
        pass
    with house.served() as served:
        response = served.client.get(f"{served.address}/user/A1")
        assert_is_problem(response, 503, "reviewer_reviews_daily")
        for path in house.warehouse.path.parent.glob("warehouse.db*"):
            path.unlink()
        house.warehouse.path.write_bytes(b"no database" * 1000)
        assert statuses(served) == {503}


def test_a_server_that_does_not_let_in_is_said_and_used_again_later(tmp_path: Path) -> None:
    house = ReviewHouse(tmp_path, "postgresql")
    house.take([review(1)])
    name = house.warehouse.url.database
    with house.served() as served:
        eventually(lambda: statuses(served) == {200})
        execute(
            server_url(),
            f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
        )
        eventually(lambda: statuses(served) == {503})
        execute(server_url(), f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert statuses(served) == {200}


def test_what_is_published_to_postgresql_is_answered_at_once(tmp_path: Path) -> None:
    house = ReviewHouse(tmp_path, "postgresql")
    house.take([review(1)])
    with house.served() as served:

        def count() -> int:
            found = served.client.get(f"{served.address}/product/B1").json()["reviews"]
            assert isinstance(found, int)
            return found

        hits = 'warehouse_kept_answers_total{outcome="hit"} 0.0'
        eventually(
            lambda: count() == 1 and hits not in served.client.get(f"{served.address}/metrics").text
        )
        house.take([review(2)])
        eventually(lambda: count() == 2)
        # A database that was restored says nothing; its notes tell.
        table = house.lake.table(PRODUCT_REVIEWS_DAILY)
        execute(
            house.settings.warehouse_url,
            "DELETE FROM product_reviews_daily",
            "UPDATE _published SET version = version + 1000",
        )
        eventually(lambda: served.client.get(f"{served.address}/product/B1").status_code == 404)
        publish(house.lake, house.warehouse, table, whole=True)
        eventually(lambda: count() == 2)
