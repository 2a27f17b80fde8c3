"""What PostgreSQL complains of, in words that say what to do; no message holds a password."""

from sqlalchemy.exc import DBAPIError

from warehouse_assets.errors import (
    BusyError,
    ConflictError,
    WarehouseAssetsError,
    WarehouseError,
)

# By SQLSTATE or its first two characters, the longer one first; `{name}` is the database, `{said}`
# what the server said.
_BY_CODE: dict[str, tuple[type[WarehouseAssetsError], str]] = {
    "08": (BusyError, "The connection to the warehouse {name} broke off: {said}. Run again."),
    "57P": (
        BusyError,
        (
            "The server of the warehouse {name} ended the work: {said}. Nothing is half done; run "
            "again when it is up."
        ),
    ),
    "57014": (
        BusyError,
        "A statement was cancelled in the warehouse {name}: {said}. Nothing is half done.",
    ),
    "55P03": (
        BusyError,
        (
            "A table of the warehouse {name} was locked by another program: {said}. See who holds "
            "it in pg_locks; reading does not lock it."
        ),
    ),
    "40001": (ConflictError, "Another transaction came first in the warehouse {name}: {said}."),
    "40P01": (
        BusyError,
        (
            "The warehouse {name} broke off a transaction that another program held up while it "
            "waited for that one: {said}. Run again."
        ),
    ),
    "53300": (
        BusyError,
        (
            "The server of the warehouse {name} takes no more connections: {said}. Close some, or "
            "raise max_connections."
        ),
    ),
    "53100": (
        WarehouseError,
        (
            "The warehouse {name} cannot be written: No space left on device, says the server: "
            "{said}. Free space there; nothing is half done."
        ),
    ),
    "25006": (
        WarehouseError,
        (
            "The warehouse {name} is read-only: {said}. Is it a standby server? Check the setting "
            "WAREHOUSE_URL; target_session_attrs=read-write finds the primary of several hosts."
        ),
    ),
    "42501": (
        WarehouseError,
        (
            "The user of the warehouse {name} has not the right to do this: {said}. It needs to "
            "connect, CREATE in its schema and TEMPORARY in the database, and to own the published "
            "tables."
        ),
    ),
    "3F000": (
        WarehouseError,
        (
            "The warehouse {name} has no schema to create tables in: {said}. Create it, or correct "
            "search_path."
        ),
    ),
    "2BP01": (
        WarehouseError,
        (
            "A table of the warehouse {name} has to be made anew, with other columns, but others "
            "depend on it: {said}. Drop these, run again and create them again."
        ),
    ),
    "23503": (
        WarehouseError,
        (
            "A reference that was added to the warehouse {name} by hand stands in the way: {said}. "
            "Tables that are published are written anew, so that references to and from them "
            "cannot hold: drop that constraint and run again."
        ),
    ),
    "23514": (
        WarehouseError,
        (
            "A condition that was added to the warehouse {name} by hand refuses a row: {said}. "
            "Drop that constraint and run again."
        ),
    ),
    "23": (
        WarehouseError,
        (
            "The warehouse {name} does not accept a row: {said}. The lake holds rows that "
            "contradict the declaration of their table; its asset checks count them."
        ),
    ),
    "22P05": (
        WarehouseError,
        (
            "The warehouse {name} cannot hold all characters: {said}. Create the database with the "
            "encoding UTF8."
        ),
    ),
    "22": (WarehouseError, "The warehouse {name} does not accept a value: {said}."),
    "54": (
        WarehouseError,
        (
            "A row is too long for the warehouse {name}: {said}. Values of keys and indexes may "
            "have about 2,700 bytes."
        ),
    ),
}

# When a connection fails there is no code; the first words that are found count.
_BY_WORDS: tuple[tuple[str, type[WarehouseAssetsError], str], ...] = (
    (
        "too many c",
        BusyError,
        "The server of the warehouse {name} takes no more connections: {said}.",
    ),
    (
        "connection slots",
        BusyError,
        "The server of the warehouse {name} takes no more connections: {said}.",
    ),
    (
        "starting up",
        BusyError,
        "The server of the warehouse {name} is not ready: {said}. Run again in a moment.",
    ),
    (
        "password",
        WarehouseError,
        (
            "The server of the warehouse {name} does not accept the user or the password: {said}. "
            "Check the setting WAREHOUSE_URL."
        ),
    ),
    (
        "authentication",
        WarehouseError,
        (
            "The server of the warehouse {name} does not accept the user: {said}. Check the "
            "setting WAREHOUSE_URL."
        ),
    ),
    (
        "pg_hba.conf",
        WarehouseError,
        "The server of the warehouse {name} lets nobody in from here: {said}.",
    ),
    (
        'role "',
        WarehouseError,
        (
            "The server of the warehouse {name} does not know the user: {said}. Create it, or "
            "correct the setting WAREHOUSE_URL."
        ),
    ),
    (
        "permission denied",
        WarehouseError,
        "The user may not connect to the warehouse {name}: {said}.",
    ),
    (
        'database "',
        WarehouseError,
        (
            "There is no database for the warehouse {name}: {said}. Create it (`createdb`, or "
            "CREATE DATABASE … ENCODING 'UTF8'), or correct the setting WAREHOUSE_URL."
        ),
    ),
    (
        "invalid",
        WarehouseError,
        (
            "The address of the warehouse {name} cannot be used: {said}. Correct the setting "
            "WAREHOUSE_URL."
        ),
    ),
)
_AWAY = (
    "The server of the warehouse {name} cannot be reached, or went away: {said}. Nothing is half "
    "done. Check that it runs and that the setting WAREHOUSE_URL is right, and run again."
)
_OTHER = "The warehouse {name} cannot do what was asked: {said}."


def explanation(error: DBAPIError, name: str, password: str | None = None) -> WarehouseAssetsError:
    """The error to raise instead of `error`.

    Args:
        name: the database, without password.
        password: blotted out wherever it appears.
    """
    code = sql_state(error)
    said = _said(error)
    kind, text = _by_code(code) if code else _by_words(said)
    message = text.format(name=name, said=said.rstrip("."))
    if password:
        message = message.replace(str(password), "***")
    return kind(message)


def sql_state(error: DBAPIError) -> str | None:
    """The SQLSTATE that the server gave; None if it was not asked or gave none."""
    state: str | None = getattr(error.orig, "pgcode", None)
    return state


def _by_code(code: str) -> tuple[type[WarehouseAssetsError], str]:
    for part in (code, code[:3], code[:2]):
        if part in _BY_CODE:
            return _BY_CODE[part]
    return WarehouseError, _OTHER


def _by_words(said: str) -> tuple[type[WarehouseAssetsError], str]:
    for words, kind, text in _BY_WORDS:
        if words in said:
            return kind, text
    return BusyError, _AWAY


def _said(error: DBAPIError) -> str:
    """What the server or its driver said, in one line."""
    found = getattr(error.orig, "diag", None)
    parts = [
        getattr(found, part, None) for part in ("message_primary", "message_detail", "context")
    ]
    told = [part.rstrip(".") for part in parts if part] or str(error.orig).strip().splitlines()
    return "; ".join(line.strip() for line in told)
