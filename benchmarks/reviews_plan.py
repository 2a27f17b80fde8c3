"""The cases of the reviews family.

asyncpg is measured where `requirements-benchmarks.lock` is installed.
"""

from benchmarks.case import Case, Subject

_SQLITE, _POSTGRES = (
    Subject(f"a warehouse of reviews in {name}", "reviews_homes.template", {"database": database})
    for name, database in (("SQLite", "sqlite"), ("PostgreSQL", "postgresql"))
)
_ASKED = "10,000 requests for products and users, 16 connections, {reviews} reviews in"


def _service(database: str, target: float) -> Subject:
    return Subject("warehouse serve", "reviews_requests.service", {"database": database}, target)


REVIEWS_CASES = (
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
)
