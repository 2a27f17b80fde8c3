"""Ids of ingestions, and the names of their files."""

import re
import secrets
import unicodedata
from datetime import datetime, timezone

_ID = r"[0-9]{8}-[0-9]{12}-[0-9a-f]{8}"
_ENDINGS = re.compile(r"(\.(csv|tsv|txt|gz))+\Z", re.IGNORECASE)
_LONGEST_STEM = 60
_LONGEST_NAME = 200


def new_id() -> str:
    """An id that no other ingestion has; ids sort by the time at which they were made."""
    return f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S%f}-{secrets.token_hex(4)}"


def is_id(text: str) -> bool:
    """Whether `text` could be the id of an ingestion."""
    return re.fullmatch(_ID, text) is not None


def id_in(name: str) -> str | None:
    """The id at the end of a name that `file_name` made, if it is one."""
    match = re.search(rf"-({_ID})\.csv(\.gz)?\Z", name)
    return match[1] if match else None


def file_name(name: str, ingestion_id: str) -> str:
    """The name in the inbox of a file of trips that its sender calls `name`."""
    base = re.split(r"[/\\]", name)[-1]
    plain = unicodedata.normalize("NFKD", _ENDINGS.sub("", base)).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^A-Za-z0-9_]+", "-", plain)
    stem = re.sub(r"\Atrips[-_]?", "", stem, flags=re.IGNORECASE)[:_LONGEST_STEM].strip("-_")
    suffix = ".gz" if base.lower().endswith(".gz") else ""
    return f"trips-{stem or 'upload'}-{ingestion_id}.csv{suffix}"


def shown_name(name: str) -> str:
    """The last part of `name`, without characters that are not shown, and not too long."""
    base = re.split(r"[/\\]", name)[-1]
    shown = "".join(character for character in base if character.isprintable()).strip()
    return shown[-_LONGEST_NAME:] or "upload"
