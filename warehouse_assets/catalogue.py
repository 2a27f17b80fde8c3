"""Every table there is, in the order in which people are shown them."""

from warehouse_assets.forum.tables import TABLES as FORUM_TABLES
from warehouse_assets.schema import REJECTED_RECORDS
from warehouse_assets.school.tables import TABLES as SCHOOL_TABLES

TABLES = (*FORUM_TABLES, *SCHOOL_TABLES, REJECTED_RECORDS)

ANSWER_TABLES = tuple(table for table in TABLES if "answers" in table.info)
"""The tables that answer a question, which is in their `info["answers"]`."""
