"""Every table there is, and every question it answers, in the order in which people are shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Table

from warehouse_assets.deliveries.tables import QUESTIONS as DELIVERIES_QUESTIONS
from warehouse_assets.deliveries.tables import TABLES as DELIVERIES_TABLES
from warehouse_assets.forum.tables import TABLES as FORUM_TABLES
from warehouse_assets.reviews.tables import TABLES as REVIEWS_TABLES
from warehouse_assets.schema import REJECTED_RECORDS, UNKNOWN_FIELDS
from warehouse_assets.school.tables import TABLES as SCHOOL_TABLES
from warehouse_assets.trips.tables import QUESTIONS as TRIPS_QUESTIONS
from warehouse_assets.trips.tables import TABLES as TRIPS_TABLES

TABLES = (
    *FORUM_TABLES,
    *SCHOOL_TABLES,
    *TRIPS_TABLES,
    *REVIEWS_TABLES,
    *DELIVERIES_TABLES,
    REJECTED_RECORDS,
    UNKNOWN_FIELDS,
)

ANSWER_TABLES = tuple(table for table in TABLES if "answers" in table.info)
"""The tables that answer a question, which is in their `info["answers"]`."""


@dataclass(frozen=True)
class Question:
    """A question that a SELECT over the warehouse answers, in SQL of SQLite and PostgreSQL.

    Args:
        path: the file of the SELECT; its stem is the question's name.
        reads: the tables that it names.
    """

    text: str
    path: Path
    reads: Sequence[Table]

    @property
    def name(self) -> str:
        """The name by which people ask for it."""
        return self.path.stem


_FOLDER = Path(__file__).parent

QUESTIONS = tuple(
    Question(text, _FOLDER / family / "sql" / "questions" / f"{name}.sql", reads)
    for family, questions in (("trips", TRIPS_QUESTIONS), ("deliveries", DELIVERIES_QUESTIONS))
    for name, text, reads in questions
)
