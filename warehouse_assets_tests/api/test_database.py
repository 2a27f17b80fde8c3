"""A warehouse that is away, locked, asked by many, or changes: what its readers make of that."""

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa

from warehouse_assets.defs.reviews.tables import PRODUCT_REVIEWS_DAILY
from warehouse_assets.warehouse import publish
from warehouse_assets_tests.api.reviewing import KINDS, ReviewHouse
from warehouse_assets_tests.api.serving import (
    Served,
    assert_is_problem,
    eventually,
    serving,
    settings_of,
)
from warehouse_assets_tests.defs.reviews.databases import review
from warehouse_assets_tests.postgres import execute, server_url

_LOCKED = "product_reviews_daily"
_PATHS = ("/product/B1", "/product/B1/reviews", "/user/A1", "/product/B1?format=csv")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> ReviewHouse:
    """A house with reviews in PostgreSQL, to which tests may add more."""
    limits = {"API_CONNECTIONS": "4", "API_LOCK_TIMEOUT_SECONDS": "1"}
    house = ReviewHouse(tmp_path_factory.mktemp("house"), "postgresql", **limits)
    house.take(review(number, productID=f"B{number}") for number in range(1, 30))
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


def statuses(served: Served) -> set[int]:
    answers = [get(served, path) for path in _PATHS]
    for answer in answers:
        if answer.status_code == 503:
            assert_is_problem(answer, 503)
    return {answer.status_code for answer in answers}


def count(served: Served, product: str = "B1") -> int:
    return int(get(served, f"/product/{product}").json()["reviews"])


def test_a_file_that_is_away_is_said_and_another_in_its_place_is_read_at_once(
    tmp_path: Path,
) -> None:
    house = ReviewHouse(tmp_path)
    file, former = house.warehouse.path, tmp_path / "former.db"
    with house.served() as served:
        assert statuses(served) == {503}
        assert get(served, "/health/ready").status_code == 503
        with house.warehouse.write():
            pass
        assert_is_problem(get(served, "/user/A1"), 503, "reviewer_reviews_daily")
        house.take([review(1)])
        assert statuses(served) == {200}
        house.warehouse.maintain()
        shutil.copy(file, former)
        house.take([review(2)])
        assert count(served) == 2
        house.warehouse.maintain()
        shutil.move(former, file)
        assert count(served) == 1
        for path in file.parent.glob("warehouse.db*"):
            path.unlink()
        assert statuses(served) == {503}
        file.write_bytes(b"no database" * 1000)
        assert statuses(served) == {503}


def test_a_locked_table_is_said_and_holds_up_neither_kept_answers_nor_others(
    house: ReviewHouse,
) -> None:
    with house.served() as served, ThreadPoolExecutor() as pool:
        kept = get(served, "/product/B1?format=csv")
        with locked(house, _LOCKED):
            asking = [pool.submit(get, served, "/product/B1") for _ in range(6)]
            assert get(served, "/product/B1?format=csv").content == kept.content
            others = ("/user/A1", "/product/B1/reviews", "/health/ready", "/health/live")
            assert [get(served, path).status_code for path in others] == [200] * len(others)
            for found in asking:
                assert_is_problem(found.result(), 503, _LOCKED)
        assert get(served, "/product/B1").status_code == 200
    settings = settings_of(
        house.settings.home,
        WAREHOUSE_URL=house.settings.warehouse_url,
        API_STATEMENT_TIMEOUT_SECONDS="1",
        API_LOCK_TIMEOUT_SECONDS="60",
    )
    with serving(settings) as served, locked(house, _LOCKED):
        assert_is_problem(get(served, "/product/B1"), 503, "API_STATEMENT_TIMEOUT_SECONDS")


def test_more_ask_than_there_are_connections_and_all_are_answered(house: ReviewHouse) -> None:
    paths = [f"/product/B{number}" for number in range(1, 30)]
    with house.served() as served, ThreadPoolExecutor(len(paths)) as pool:
        assert {found.status_code for found in pool.map(partial(get, served), paths)} == {200}
        names = execute(
            house.settings.warehouse_url,
            "SELECT application_name FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()",
        )
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


def test_a_user_who_may_only_read_is_enough(tmp_path: Path) -> None:
    house = ReviewHouse(tmp_path, "postgresql")
    url = house.settings.warehouse_url
    execute(
        url,
        "CREATE ROLE only_reads LOGIN",
        "GRANT USAGE ON SCHEMA public TO only_reads",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO only_reads",
    )
    house.take([review(1, productID="B1")])
    reading = url.replace("//postgres@", "//only_reads@")
    with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
        execute(reading, "DELETE FROM product_reviews_daily")
    settings = settings_of(tmp_path, WAREHOUSE_URL=url, WAREHOUSE_READ_URL=reading)
    with serving(settings) as served:
        assert count(served) == 1
        assert statuses(served) == {200}
        assert get(served, "/health/ready").status_code == 200
        house.take([review(2, productID="B1")])
        eventually(lambda: count(served) == 2)


def test_a_server_that_does_not_let_in_is_said_and_used_again_later(house: ReviewHouse) -> None:
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


def test_what_is_published_to_postgresql_is_answered_at_once(house: ReviewHouse) -> None:
    with house.served() as served:
        hits = 'warehouse_kept_answers_total{outcome="hit"} 0.0'
        eventually(lambda: count(served) == 1 and hits not in get(served, "/metrics").text)
        # A database that was restored says nothing; its notes tell.
        table = house.lake.table(PRODUCT_REVIEWS_DAILY)
        execute(
            house.settings.warehouse_url,
            "DELETE FROM product_reviews_daily",
            "UPDATE _published SET version = version + 1000",
        )
        eventually(lambda: get(served, "/product/B1").status_code == 404)
        publish(house.lake, house.warehouse, table, whole=True)
        eventually(lambda: get(served, "/product/B1").status_code == 200)


@pytest.mark.parametrize("kind", KINDS)
def test_no_answer_is_half_published_while_many_ask(
    kind: str, house: ReviewHouse, tmp_path: Path
) -> None:
    """In each round a product gets a 1 and a 5; tables are published one after the other."""
    house = house if kind == "postgresql" else ReviewHouse(tmp_path)
    is_over = threading.Event()

    def publish_round(number: int) -> None:
        rated = (review(rating, index=number, overall=rating, productID="P") for rating in (1, 5))
        house.take(rated)

    def ask(served: Served) -> None:
        seen = 0
        while not is_over.wait(0.1):  # the machine has other things to do
            told = get(served, "/product/P").json()
            assert told["reviews"] >= seen
            seen = told["reviews"]
            assert told["average_rating"] == 3.0
            assert told["stars"]["1"]["count"] == told["stars"]["5"]["count"] == seen / 2
            assert len(get(served, "/product/P/reviews?limit=100").json()["reviews"]) % 2 == 0

    publish_round(1)
    with house.served() as served, ThreadPoolExecutor() as pool:
        asking = [pool.submit(ask, served) for _ in range(3)]
        try:
            publish_round(2)
        finally:
            is_over.set()
        for found in asking:
            found.result()
        assert count(served, "P") == 4
