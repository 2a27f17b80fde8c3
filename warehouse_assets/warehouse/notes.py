"""The tables in which the warehouse notes what is published in it."""

import sqlalchemy as sa

from warehouse_assets.warehouse.origin import origin_table

NOTES = sa.MetaData()

PUBLISHED = sa.Table(
    "_published",
    NOTES,
    sa.Column("table_name", sa.Text, primary_key=True, comment="Table of the warehouse."),
    sa.Column("lake_table_id", sa.Text, nullable=False, comment="Which lake it came from."),
    sa.Column("version", sa.BigInteger, nullable=False, comment="Version in the lake."),
)

LAKE = origin_table("_lake", NOTES)

COLUMNS = sa.Table(
    "_columns",
    NOTES,
    sa.Column("table_name", sa.Text, primary_key=True, comment="Table of the warehouse."),
    sa.Column("column_name", sa.Text, primary_key=True, comment="Its column."),
    sa.Column("description", sa.Text, nullable=False, comment="What the column means."),
)
