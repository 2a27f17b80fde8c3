"""A password of any characters opens the real server, wherever its URL goes."""

import asyncio
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from warehouse_assets.api.database import PostgresqlReader
from warehouse_assets.defs.deliveries.state import Snapshot, snapshot, state_database
from warehouse_assets.defs.reviews.family import REVIEWS_SOURCE
from warehouse_assets.errors import BusyError, SourceError
from warehouse_assets.ingest.sql import glance
from warehouse_assets.settings import Settings
from warehouse_assets.warehouse import warehouse_at
from warehouse_assets_tests.postgres import execute, postgres_url

PASSWORD = "s@e/c:r#e?t%[x]"


@pytest.fixture
def url() -> sa.URL:
    """Of a user who has to give the password."""
    server = postgres_url()
    ((file,),) = execute(server, "SHOW hba_file")
    rules = Path(str(file))
    if "odd" not in rules.read_text():
        rules.write_text(f"local all odd scram-sha-256\n{rules.read_text()}")
        execute(server, f"CREATE ROLE odd LOGIN PASSWORD '{PASSWORD}'", "SELECT pg_reload_conf()")
    return sa.make_url(server).set(username="odd", password=PASSWORD)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_a_password_of_any_characters_is_taken(url: sa.URL, scheme: str) -> None:
    written = url.set(drivername=scheme).render_as_string(hide_password=False)
    settings = Settings.from_environment(
        dict.fromkeys(("WAREHOUSE_URL", "REVIEWS_URL", "STATE_URL"), written)
    )
    with warehouse_at(settings.warehouse_url).read() as connection:
        assert connection.scalar(sa.text("SELECT current_user")) == "odd"
    assert snapshot(state_database(settings.state_url)) == Snapshot()  # there is none yet
    database = PostgresqlReader(warehouse_at(settings.warehouse_url), settings)
    user = "SELECT current_user"
    with closing(database):
        told = asyncio.run(database.read(["posts"], lambda found: found.execute(user, {})))
    assert told[0][0] == "odd"
    with pytest.raises(SourceError, match="has no table reviews") as raised:
        glance(REVIEWS_SOURCE, settings.reviews_url)
    assert not any(part in str(raised.value) for part in (PASSWORD, "c:r", "c%2Fr"))


def test_a_wrong_password_is_not_shown(url: sa.URL) -> None:
    wrong = url.set(password=f"{PASSWORD}x").render_as_string(hide_password=False)
    settings = Settings.from_environment({"WAREHOUSE_URL": wrong})
    with (
        pytest.raises(BusyError, match="password authentication failed") as raised,
        warehouse_at(settings.warehouse_url).read(),
    ):
        pass
    assert not any(part in str(raised.value) for part in ("s@e", "c:r", "c%2Fr", "%5Bx"))
