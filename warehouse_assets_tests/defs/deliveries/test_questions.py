from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from warehouse_assets.catalogue import QUESTIONS
from warehouse_assets.defs.deliveries.tables import DELIVERY_DURATIONS
from warehouse_assets_tests.warehouse.reused import emptied_database

(AVERAGE,) = (q for q in QUESTIONS if q.name == "average_duration_of_deliveries")


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_average_is_that_of_all_successful_deliveries(database: str, tmp_path: Path) -> None:
    url = (
        f"sqlite:///{tmp_path}/warehouse.db"
        if database == "sqlite"
        else emptied_database("answers")
    )
    driven = sa.make_url(url)
    if database == "postgresql":
        driven = driven.set(drivername="postgresql+psycopg2")
    engine = sa.create_engine(driven, poolclass=sa.NullPool)
    with engine.begin() as connection:
        DELIVERY_DURATIONS.create(connection)
        for customer, minutes in ((1, 20), (2, 10), (2, 45)):
            opened = datetime.fromisoformat(f"2020-01-01T1{customer}:{60 - minutes}:00")
            delivered = datetime.fromisoformat(f"2020-01-01T1{customer + 1}:00:00")
            row = (customer, opened, delivered, minutes * 60.0, 0)
            connection.execute(DELIVERY_DURATIONS.insert().values(row))
        (found,) = connection.exec_driver_sql(AVERAGE.path.read_text("utf-8"))

    assert found[:4] == (3, 1500.0, 600.0, 2700.0)
    assert str(found[4]).startswith("2020-01-01 13:00:00")
