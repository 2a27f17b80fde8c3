"""Delta's change data feed: which rows of a table changed since a version."""

import duckdb
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError


def view_changes(
    connection: duckdb.DuckDBPyConnection, handle: DeltaTable, since: int, name: str
) -> bool:
    """Make the temporary table `name` of what changed after the version `since`.

    It has the table's columns, `_commit_version`, and `_change_type`: `insert`, `delete`,
    `update_preimage` or `update_postimage`. Reading it costs what changed.

    Returns False, and makes nothing, if the feed has been vacuumed.
    """
    if since >= handle.version():
        return False
    try:
        feed = handle.load_cdf(starting_version=since + 1, ending_version=handle.version())
        connection.register("_feed", feed)
        connection.execute(f'CREATE OR REPLACE TEMP TABLE "{name}" AS FROM _feed')
    except (DeltaError, duckdb.InvalidInputException):
        # Of a part of the log Delta says so at once, of a file when the feed comes to it.
        return False
    connection.unregister("_feed")
    return True
