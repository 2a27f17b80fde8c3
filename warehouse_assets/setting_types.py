"""The types of settings that are more than a number, and how their texts are read.

A `ValueError` says what a text must be instead.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_BYTES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BYTES |= {f"{unit}I": 1024**power for power, unit in enumerate("KMGT", start=1)}
_IN_A_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.=!-]+)+", re.ASCII)
_UNUSABLE_IN_A_LAKE = re.compile(r"[%#?\[\]\\]")  # Delta takes the folder for an address
_POSTGRESQL = {
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "postgresql+psycopg2": "postgresql+psycopg2",
}
_PASSWORD_OPTION = re.compile(r"(?<=password=)[^&]*", re.IGNORECASE)
_ENCODE = (
    "it cannot be told where its password ends and its host begins; write characters of the user "
    "and the password percent-encoded: @ as %40, / as %2F, : as %3A, # as %23, ? as %3F, % as %25, "
    "[ as %5B, ] as %5D"
)
_SMALLEST_MEMORY_LIMIT = 512 * 10**6  # Python, Dagster and one DuckDB query need about this much.


def without_password(text: str) -> str:
    """`text` for messages: of an address nothing is shown that may belong to a password."""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme == "sqlite":
        return text
    # The host begins behind the last one, if a password has some, too.
    given, at, place = rest.rpartition("@")
    if at:
        user, colon, _ = given.partition(":")
        rest = f"{user}:***@{place}" if colon else f"***@{place}"
    elif not re.fullmatch(r"[^:/?#]*(:\d*)?([/?#].*)?|\[.*", rest, re.DOTALL):
        rest = f"{rest.partition(':')[0]}:***"
    return f"{scheme}://{_PASSWORD_OPTION.sub('***', rest)}"


def _path(text: str) -> Path:
    """A path, absolute; `~` is a home folder."""
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        raise ValueError("there is no such user's home folder") from None


def _lake_place(text: str) -> Path | str:
    """A folder of this machine in which Delta tables can be, or `s3://BUCKET/PREFIX`."""
    scheme, separator, rest = text.partition("://")
    if separator and scheme == "s3":
        if not _IN_A_BUCKET.fullmatch(rest.rstrip("/")):
            raise ValueError(
                "it must be s3://BUCKET/PREFIX, of letters, digits and any of - _ . = ! in the "
                "prefix; keys come from AWS_ACCESS_KEY_ID and the like"
            )
        return text.rstrip("/")
    if separator and (scheme != "file" or not rest.startswith("/")):
        raise ValueError("only folders of this machine and s3://BUCKET/PREFIX can hold the lake")
    folder = _path(rest if separator else text)
    if found := _UNUSABLE_IN_A_LAKE.search(str(folder)):
        raise ValueError(f"the lake cannot be in a folder with {found[0]} in its name")
    return folder


def _batches_url(text: str) -> str:
    """An address without a slash at its end, or the absolute path of a `.json` file."""
    scheme, separator, rest = text.partition("://")
    if not separator and text.lower().endswith(".json"):
        return str(_path(text))
    if not separator or scheme.lower() not in {"http", "https"} or not rest.strip("/"):
        raise ValueError("it must be an address, http://HOST/… or https://…, or a .json file")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    # Of what follows the host, an @ may be the one of a password that was cut there.
    if ":" in authority.rpartition("@")[2] and "@" in rest[len(authority) :]:
        raise ValueError(_ENCODE)
    try:
        is_whole = bool(urlsplit(text).hostname) and urlsplit(text).port != 0
    except ValueError:
        is_whole = False
    if not is_whole:
        raise ValueError(_ENCODE if "@" in rest else "its host or port cannot be read")
    return text.rstrip("/")


def _database_url(text: str) -> str:
    """An SQLAlchemy URL of a SQLite file or of a PostgreSQL database."""
    scheme, _, rest = text.partition("://")
    if scheme in _POSTGRESQL and rest.strip("/"):
        return _postgresql_url(f"{_POSTGRESQL[scheme]}://{rest}")
    path_text, question_mark, options = rest.removeprefix("/").partition("?")
    if scheme != "sqlite" or not rest.startswith("/") or path_text in {"", ":memory:"}:
        raise ValueError(
            "it must be an SQLAlchemy URL of a SQLite file, sqlite:///PATH, or of a PostgreSQL "
            "database, postgresql://USER@HOST/DATABASE"
        )
    return f"sqlite:///{_path(path_text)}{question_mark}{options}"


def _postgresql_url(text: str) -> str:
    """`text`, in which a password is where it is never shown."""
    import sqlalchemy as sa

    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise ValueError(_ENCODE if "@" in text else "its host or port cannot be read") from None
    _, _, password_and_place = text.partition("://")[2].partition(":")
    if "@" in password_and_place.partition("@")[2]:
        raise ValueError(_ENCODE)
    password = url.query.get("password")
    if not isinstance(password, str):
        return text
    named = url.set(password=password).difference_update_query(["password"])
    return named.render_as_string(hide_password=False)


def _engine_url(text: str) -> str:
    """An address of a Spark Connect server, or nothing."""
    if text and not re.match(r"sc://[^/:;]+(:\d{1,5})?(/|$)", text):
        raise ValueError("it must be the address of a Spark Connect server, sc://HOST:PORT")
    return text


def _size(text: str) -> int:
    """Bytes, from a number and a unit such as GB or MiB."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d+)?)\s*([KMGT]I?)?B?", text.strip().upper())
    if match is None:
        raise ValueError("it must be a size such as 4GB or 512MiB")
    return int(float(match[1]) * _BYTES[match[2] or ""])


def _memory(text: str) -> int:
    """Bytes of memory, at least as many as one run needs."""
    limit = _size(text)
    if limit < _SMALLEST_MEMORY_LIMIT:
        raise ValueError("less than 512MB is too little to work with")
    return limit


def _address(text: str) -> str:
    """An address without a slash at its end."""
    scheme, separator, rest = text.partition("://")
    if scheme.lower() not in {"http", "https"} or not separator or not rest.strip("/"):
        raise ValueError("it must be an address, http://HOST… or https://…")
    return text.rstrip("/")


def _key_hashes(text: str) -> tuple[str, ...]:
    """SHA-256 hashes in hexadecimal digits, separated by commas."""
    hashes = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    if not all(re.fullmatch("[0-9a-f]{64}", found) for found in hashes):
        raise ValueError("each must be 64 hexadecimal digits, as `warehouse api-key` prints them")
    return hashes


def _hosts(text: str) -> frozenset[str]:
    """Names of hosts, separated by commas."""
    return frozenset(host.strip().lower() for host in text.split(",") if host.strip())


def _origins(text: str) -> frozenset[str]:
    """Origins of pages, separated by commas; `*` is any."""
    found = _hosts(text)
    for origin in sorted(found - {"*"}):
        if not re.fullmatch(r"https?://[^\s/?#@]+", origin):
            raise ValueError(
                f"{origin!r} is not the origin of a page: it must be like https://app.example.com "
                "or http://localhost:3000, without a path, or * for any"
            )
    return found


def _part_of_day(hours: int) -> int:
    """Hours that divide a day."""
    if hours not in {1, 2, 3, 4, 6, 8, 12, 24}:
        raise ValueError("it must be 1, 2, 3, 4, 6, 8, 12 or 24 hours")
    return hours


LocalPath = Annotated[Path, BeforeValidator(_path)]
LakePlace = Annotated[Path | str, BeforeValidator(_lake_place)]
# These may hold a password or a token.
EngineUrl = Annotated[str, BeforeValidator(_engine_url), Field(repr=False)]
BatchesUrl = Annotated[str, BeforeValidator(_batches_url), Field(repr=False)]
DatabaseUrl = Annotated[str, BeforeValidator(_database_url), Field(repr=False)]
Size = Annotated[int, BeforeValidator(_size)]
Memory = Annotated[int, BeforeValidator(_memory)]
Address = Annotated[str, BeforeValidator(_address)]
KeyHashes = Annotated[tuple[str, ...], BeforeValidator(_key_hashes)]
Hosts = Annotated[frozenset[str], BeforeValidator(_hosts)]
Origins = Annotated[frozenset[str], BeforeValidator(_origins)]

Hours = Annotated[float, Field(ge=0.01, le=24 * 3660)]
Seconds = Annotated[float, Field(ge=0, le=3600)]
Timeout = Annotated[float, Field(ge=1, le=86_400)]  # in seconds
Share = Annotated[float, Field(ge=0, le=1)]
# So few digits that whole numbers which it multiplies stay small.
Threshold = Annotated[Decimal, Field(ge=0, le=100, decimal_places=4)]
Days = Annotated[int, Field(ge=0, le=3660)]
PartOfDay = Annotated[int, AfterValidator(_part_of_day)]  # in hours
Zoom = Annotated[int, Field(ge=0, le=24)]  # of Web-Mercator tiles
Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=0, le=10**9)]
Positive = Annotated[int, Field(ge=1, le=10**9)]


_WHAT_IT_MUST_BE = {
    "float_parsing": "it must be a number",
    "decimal_parsing": "it must be a number",
    "finite_number": "it must be a number",
    "decimal_max_places": "it may have four digits behind the point",
    "int_parsing": "it must be a whole number",
    "int_from_float": "it must be a whole number",
    "bool_parsing": "it must be yes or no",
}


def what_it_must_be(error: "ErrorDetails", bounds: Sequence[Any]) -> str:
    """What pydantic refuses a value for, in words.

    Args:
        bounds: what the field is declared with, of which a number must be from one to another.
    """
    if error["type"] in {"greater_than_equal", "less_than_equal"}:
        return "it must be from {.ge:g} to {.le:g}".format(*bounds)
    said = error.get("ctx", {}).get("error", error["msg"])
    return _WHAT_IT_MUST_BE.get(error["type"], str(said))
