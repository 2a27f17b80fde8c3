"""PostgreSQL under the service: a bound, timeouts, a standby, and nothing left in sessions."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa

from warehouse_assets_tests.api.reviewing import ReviewHouse
from warehouse_assets_tests.api.serving import Served, assert_is_problem, eventually
from warehouse_assets_tests.defs.reviews.databases import review
from warehouse_assets_tests.postgres import execute

_LOCKED = "product_reviews_daily"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> ReviewHouse:
    limits = {"API_CONNECTIONS": "4", "API_LOCK_TIMEOUT_SECONDS": "1"}
    house = ReviewHouse(tmp_path_factory.mktemp("house"), "postgresql", **limits)
    house.take([review(1)])
    return house


@contextmanager
def locked(house: ReviewHouse, table: str) -> Iterator[None]:
    """Somebody who changes a table has not ended yet."""
    url = sa.make_url(house.settings.warehouse_url).set(drivername="postgresql+psycopg2")
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


def get(served: Served, path: str) -> requests.Response:
    return requests.get(served.address + path, timeout=60)


def test_a_locked_table_is_said_and_holds_up_neither_kept_answers_nor_others(
    house: ReviewHouse,
) -> None:
    with house.served() as served:
        answers: list[requests.Response] = []
        kept = get(served, "/product/B1?format=csv")
        with locked(house, _LOCKED):
            asking = [
                threading.Thread(target=lambda: answers.append(get(served, "/product/B1")))
                for _ in range(6)
            ]
            for thread in asking:
                thread.start()
            assert get(served, "/product/B1?format=csv").content == kept.content
            others = ("/user/A1", "/product/B1/reviews", "/health/ready", "/health/live")
            assert [get(served, path).status_code for path in others] == [200] * len(others)
            for thread in asking:
                thread.join()
        assert len(answers) == 6
        for answer in answers:
            assert_is_problem(answer, 503, _LOCKED)
        assert get(served, "/product/B1").status_code == 200


def test_a_statement_that_takes_too_long_is_said(tmp_path: Path) -> None:
    house = ReviewHouse(tmp_path, "postgresql", API_STATEMENT_TIMEOUT_SECONDS="1")
    house.take([review(1)])
    # Reading the table takes a minute.
    execute(
        house.settings.warehouse_url,
        f"ALTER TABLE {_LOCKED} RENAME TO of_products",
        f"CREATE VIEW {_LOCKED} AS SELECT found.* FROM of_products found, pg_sleep(60)",
    )
    with house.served() as served:
        assert_is_problem(get(served, "/product/B1"), 503, "API_STATEMENT_TIMEOUT_SECONDS")


def test_more_ask_than_there_are_connections_and_all_are_answered(house: ReviewHouse) -> None:
    house.take(review(number, productID=f"B{number}") for number in range(2, 60))
    answers: list[Any] = []

    def ask(number: int) -> None:
        answers.append(get(served, f"/product/B{number}").status_code)

    with house.served() as served:
        asking = [threading.Thread(target=ask, args=(number,)) for number in range(2, 60)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        names = execute(
            house.settings.warehouse_url,
            "SELECT application_name FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()",
        )
    assert answers == [200] * 58
    # Those of the service, and one of the house that published.
    assert 1 <= len(names) <= 4 + 1 + 1
    assert {str(name) for (name,) in names} == {"warehouse_assets"}


def test_nothing_of_a_session_is_left_to_others_that_share_it(house: ReviewHouse) -> None:
    """What PgBouncer's transaction mode needs: no prepared statements, settings or LISTEN."""
    with house.served() as served:
        for path in ("/product/B1", "/user/A1/reviews", "/answers/weekly_trips", "/health/ready"):
            get(served, path)
        said = execute(
            house.settings.warehouse_url,
            "SELECT query FROM pg_stat_activity WHERE datname = current_database() "
            "AND state LIKE 'idle%' AND pid <> pg_backend_pid()",
        )
    assert said
    words = ("PREPARE", "EXECUTE", "LISTEN", "SET SESSION", "SET DEFAULT")
    assert not [query for (query,) in said if str(query).upper().startswith(words)]


def test_a_standby_is_read_and_complains_of_nothing(
    house: ReviewHouse, caplog: pytest.LogCaptureFixture
) -> None:
    name = house.warehouse.url.database
    read_only = f"ALTER DATABASE {name} SET default_transaction_read_only"
    execute(house.settings.warehouse_url, f"{read_only} = on")
    with caplog.at_level("WARNING"), house.served() as served:
        eventually(lambda: get(served, "/product/B1").status_code == 200)
        assert get(served, "/product/B1").status_code == 200
        assert get(served, "/health/ready").status_code == 200
    assert not [record for record in caplog.records if record.name.startswith("warehouse_assets")]
    execute(
        house.settings.warehouse_url,
        "SET default_transaction_read_only = off",
        f"{read_only} = off",
    )
