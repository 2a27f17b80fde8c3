"""What PostgreSQL complains of, in its own words, and what helps; no message holds a password."""

from sqlalchemy.exc import DBAPIError, OperationalError

from warehouse_assets.errors import (
    BusyError,
    ConflictError,
    WarehouseAssetsError,
    WarehouseError,
)
from warehouse_assets.warehouse.sql_database import SqlDatabase

_CHECK_URL = (
    "Check that the server runs, lets this user in and has the database (setting {setting})"
)

# By the class of the SQLSTATE, its first two characters; see the appendix of PostgreSQL's manual.
_WORTH_A_RETRY = {
    "08": BusyError,
    "40": ConflictError,
    "53": BusyError,
    "55": BusyError,
    "57": BusyError,
}
_ADVICE = {
    "08": f"Nothing is half done; run again. {_CHECK_URL}",
    "22": "Correct the value at its source; only the encoding UTF8 has all characters",
    "23": "Either the lake holds rows that contradict the declaration of their table, which its "
    "asset checks count, or the constraint was added by hand: then drop that constraint",
    "25": "A standby server can only be read; of several hosts in the setting {setting} "
    "target_session_attrs=read-write finds the primary",
    "28": _CHECK_URL,
    "2B": "The table has to be made anew, with other columns: drop these, run again and create "
    "them again",
    "3D": _CHECK_URL,
    "3F": "Create the schema, or correct search_path",
    "40": "Another transaction came first; run again",
    "42": "The user has to be allowed to connect, to CREATE in its schema and TEMPORARY in the "
    "database, and has to own the published tables",
    "53": "Nothing is half done. Free space, memory or connections of the server and run again",
    "54": "Values of keys and indexes may have about 2,700 bytes: correct what is longer at its "
    "source, or publish to SQLite",
    "55": "Another program holds it, see pg_locks and pg_stat_activity; run again",
    "57": "The server went down or comes up, or the statement was cancelled. Nothing is half done; "
    "run again",
}


def explanation(error: DBAPIError, database: SqlDatabase) -> WarehouseAssetsError:
    """The error to raise instead of `error`: what the server said, and what to do."""
    code: str | None = getattr(error.orig, "pgcode", None)
    if code is None and isinstance(error, OperationalError):
        # There is no connection. Why is told only in the server's language, so that even what a
        # person has to correct, such as the password, is worth a retry.
        code = "08"
    advice = _ADVICE.get(code[:2], "Nothing was changed") if code else _CHECK_URL
    use, password = database.use, database.url.password
    message = f"{use.name} {database}: {_said(error)}. {advice.format(setting=use.setting)}."
    kind = _WORTH_A_RETRY.get((code or "")[:2], WarehouseError)
    return kind(message.replace(password, "***") if password else message)


def _said(error: DBAPIError) -> str:
    """What the server or its driver said, in one line."""
    found = getattr(error.orig, "diag", None)
    parts = [
        getattr(found, part, None) for part in ("message_primary", "message_detail", "context")
    ]
    told = [part for part in parts if part] or str(error.orig).strip().splitlines()
    return "; ".join(line.strip().rstrip(".") for line in told)
