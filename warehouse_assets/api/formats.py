"""The formats of answers, and which of them a request wants: what it says, or else `Accept`."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, get_args

import pydantic_core
from fastapi import Request
from pydantic import BaseModel, Field

from warehouse_assets.values import plain

Format = Literal["json", "csv", "ndjson", "parquet", "arrow", "html"]
MEDIA_TYPES: Mapping[Format, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
    "html": "text/html; charset=utf-8",
}
FILES: frozenset[Format] = frozenset({"csv", "ndjson", "parquet", "arrow"})
"""Formats of files: an answer has all rows in them, if no `limit` is given."""
TEXTS: frozenset[Format] = frozenset({"csv", "ndjson"})
"""Those in which values are text."""

Ranking = Sequence[Format]
"""All formats, the most liked first."""

_FORMATS: Ranking = get_args(Format)
_ROWS_AT_ONCE = 2000


def ranking(accept: str) -> Ranking:
    """The formats as the header `Accept` likes them; of those liked the same, JSON comes first."""
    if accept in {"", "*/*"}:
        return _FORMATS
    likings = dict(_liking(part) for part in accept.lower().split(","))

    def liking(format_: Format) -> float:
        media_type = MEDIA_TYPES[format_].partition(";")[0]
        kind = media_type.partition("/")[0]
        anything = likings.get("*/*", 0.0)
        return likings.get(media_type, likings.get(f"{kind}/*", anything))

    return tuple(sorted(_FORMATS, key=liking, reverse=True))


def _liking(part: str) -> tuple[str, float]:
    media_type, *parameters = (piece.strip() for piece in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return media_type, float(parameter[2:])
            except ValueError:
                return media_type, 0.0
    return media_type, 1.0


def wanted(request: Request, said: Format | None, offered: Sequence[Format]) -> Format:
    """The format that a request wants: what its parameter says, or what `Accept` likes most."""
    if said is not None:
        return said
    liked = ranking(request.headers.get("accept", ""))
    return next(format_ for format_ in liked if format_ in offered)


class Formatted(BaseModel):
    """The parameter of an answer that there is as JSON and CSV."""

    format: Literal["json", "csv"] | None = Field(
        None, description="Format of the answer; by default what `Accept` says."
    )

    def wanted(self, request: Request) -> Format:
        """The format that a request wants: what its parameter says, or else `Accept`."""
        return wanted(request, self.format, ("json", "csv"))


def text_of(
    format_: Format, names: Sequence[str], rows: Iterable[Sequence[Any]]
) -> Iterator[bytes]:
    """Rows as CSV (RFC 4180) with a heading, null being nothing between the commas; or as NDJSON.

    They come thousands at a time, so that they need not be in memory all at once.
    """
    if format_ == "csv":
        yield _csv([names])
    every = iter(rows)
    while some := [list(map(plain, row)) for row in islice(every, _ROWS_AT_ONCE)]:
        yield _csv(some) if format_ == "csv" else _ndjson(names, some)


def _csv(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _ndjson(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    lines = [pydantic_core.to_json(dict(zip(names, row, strict=True))) for row in rows]
    return b"".join(line + b"\n" for line in lines)
