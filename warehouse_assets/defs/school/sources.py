"""The sources of the school family that are declared, not programmed."""

import sqlalchemy as sa

from warehouse_assets.defs.school.tables import STUDENTS
from warehouse_assets.ingest.sql_reader import SqlSource
from warehouse_assets.ingest.validate import Validator

STUDENTS_SOURCE = SqlSource(
    Validator(STUDENTS),
    "STUDENTS_DB",
    lambda settings: sa.URL.create("sqlite", database=str(settings.students_db)),
)
"""The school's database. A student deleted from it stays in the lake: that they left is no reason
to forget what they did."""
