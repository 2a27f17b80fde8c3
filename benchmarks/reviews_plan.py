"""The cases of the reviews family.

The rivals are measured where `requirements-benchmarks.lock` is installed.
"""

from benchmarks.case import Case, Subject

_SQLITE = Subject("reviews and a warehouse, in SQLite", "reviews_homes.sqlite_template")
_POSTGRES = Subject("reviews and a warehouse, in PostgreSQL", "reviews_homes.postgres_template")
_ASKED = "10,000 requests for products and users, 16 connections, {reviews} reviews in"


def _service(database: str, target: float) -> Subject:
    return Subject("warehouse serve", "reviews_requests.service", {"database": database}, target)


def _flask(database: str) -> Subject:
    return Subject(
        "Flask, SQLAlchemy, gunicorn, over the rows",
        "reviews_requests.flask",
        {"database": database},
        package="flask",
    )


REVIEWS_CASES = (
    Case(
        "reviews_sqlite",
        f"{_ASKED} SQLite, beside the usual service",
        [_flask("sqlite"), _service("sqlite", 0.33)],
        [_SQLITE],
        data="make_nothing",
    ),
    Case(
        "reviews_sqlite_by_hand",
        f"{_ASKED} SQLite, beside a bare handler by hand",
        [
            Subject("Starlette, sqlite3, over the days", "reviews_requests.starlette"),
            _service("sqlite", 1.43),
        ],
        [_SQLITE],
        data="make_nothing",
    ),
    Case(
        "reviews_postgresql",
        f"{_ASKED} PostgreSQL, beside the usual service",
        [_flask("postgresql"), _service("postgresql", 0.5)],
        [_POSTGRES],
        data="make_nothing",
    ),
    Case(
        "reviews_postgresql_by_hand",
        f"{_ASKED} PostgreSQL, beside a service by hand",
        [
            Subject(
                "FastAPI, asyncpg, over the days", "reviews_requests.asyncpg", package="asyncpg"
            ),
            _service("postgresql", 1.0),
        ],
        [_POSTGRES],
        data="make_nothing",
    ),
    Case(
        "reviews_publish",
        "the daily tables of {reviews} reviews into PostgreSQL",
        [
            Subject("COPY of the same rows, from files of CSV", "reviews_publish.copy"),
            Subject("publish, both tables whole", "reviews_publish.publish_whole", target=1.5),
        ],
        [_SQLITE],
        data="make_nothing",
    ),
)
