"""The tables of the deliveries family: columns, keys and what each number means."""

from pathlib import Path

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Double, Table

from warehouse_assets.questions import Cause, Question
from warehouse_assets.tables import METADATA, WholeNumber

DELIVERIES = Table(
    "deliveries",
    METADATA,
    Column(
        "log_position",
        WholeNumber,
        primary_key=True,
        autoincrement=False,
        comment="Where the line begins, in bytes from the beginning of the feed; a feed that was "
        "rotated or truncated counts on from where the one before it was left.",
    ),
    Column("customer", BigInteger, nullable=False, comment="Customer.", index=True),
    Column(
        "delivery_step",
        BigInteger,
        nullable=False,
        comment="Step of the delivery: 1 opens it, 4 ends it.",
    ),
    Column(
        "occurred_at",
        DateTime,
        nullable=False,
        comment="When the step was done: in UTC if the record has a zone, else as it is written.",
    ),
    Column(
        "newest_at",
        DateTime,
        nullable=False,
        comment="The newest occurred_at of the feed up to this line.",
    ),
    Column(
        "horizon_at",
        DateTime,
        nullable=False,
        comment="newest_at less DELIVERY_OPEN_HOURS as it was set then: older steps and openings "
        "no longer count.",
    ),
    Column(
        "is_rejected",
        Boolean,
        nullable=False,
        comment="Whether it counts for nothing, and rejected_records says why: too old, or no "
        "delivery of the customer was open.",
    ),
    comment="Steps of customers' deliveries, one for each line of the feed that can be read.",
    info={"made_from": "log", "setting": "DELIVERIES_FEED", "is_large": True},
)

DELIVERY_DURATIONS = Table(
    "delivery_durations",
    METADATA,
    Column("customer", BigInteger, primary_key=True, autoincrement=False, comment="Customer."),
    Column("opened_at", DateTime, primary_key=True, comment="When its step 1 was done."),
    Column(
        "delivered_at", DateTime, nullable=False, comment="When its step 4 was done.", index=True
    ),
    Column(
        "duration_seconds",
        Double,
        nullable=False,
        comment="delivered_at less opened_at, in seconds.",
    ),
    Column(
        "log_position",
        BigInteger,
        nullable=False,
        comment="Where the line of step 4 begins in the feed.",
    ),
    comment="Successful deliveries, as a table in SQL; their average is the running average.",
    info={
        "causes": [
            Cause(
                "deliveries",
                """row.customer = wanted.customer AND row.occurred_at >= wanted.opened_at
                AND row.log_position <= wanted.log_position""",
            ),
        ],
    },
    sqlite_with_rowid=False,
)

TABLES = (DELIVERIES, DELIVERY_DURATIONS)

_CHART_OF_DURATIONS = {
    "height": {"step": 28},
    "transform": [
        {
            "fold": ["shortest_seconds", "average_seconds", "longest_seconds"],
            "as": ["which", "seconds"],
        },
        {"calculate": "split(datum.which, '_')[0]", "as": "which"},
        {"calculate": "datum.seconds / 60", "as": "minutes"},
    ],
    "encoding": {
        "y": {"field": "which", "sort": ["shortest", "average", "longest"], "title": None},
        "x": {
            "field": "minutes",
            "type": "quantitative",
            "title": "Minutes from step 1 to step 4",
        },
    },
    "layer": [
        {"mark": "bar"},
        {
            "mark": {"type": "text", "align": "left", "dx": 5},
            "encoding": {"text": {"field": "minutes", "format": ",.1f"}},
        },
    ],
}

QUESTIONS = (
    Question(
        "How long did the successful deliveries take on average?",
        Path(__file__).parent / "sql" / "questions" / "average_duration_of_deliveries.sql",
        [DELIVERY_DURATIONS],
        _CHART_OF_DURATIONS,
    ),
)
"""The questions that SELECTs over the tables answer."""
