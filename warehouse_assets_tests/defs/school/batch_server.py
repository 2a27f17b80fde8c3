"""A server of batches, as a model: it pages as the real ones do, or nearly so."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from warehouse_assets_tests.ingest.http_server import Handler, Request, reply

DAY = datetime.fromisoformat("2026-11-20T13:51:54")
SECOND = timedelta(seconds=1)
TICK = timedelta(milliseconds=1)


def batch(number: int, seconds: float | None = None, **fields: Any) -> dict[str, Any]:
    """A batch as the server gives it, created so many seconds after a certain moment."""
    created_at = DAY + timedelta(seconds=number if seconds is None else seconds)
    text = created_at.isoformat(sep=" ", timespec="microseconds")
    return {"id": number, "name": f"batch {number}", "created_at": text, **fields}


def created(record: dict[str, Any]) -> datetime:
    """When a batch was created."""
    return datetime.fromisoformat(record["created_at"])


@dataclass
class BatchServer:
    """Batches in order of creation.

    Args:
        page_size: the most batches in an answer.
        precision: `second` compares whole seconds, so that the boundary comes again; `exact`
            leaves it out, `inclusive` gives it again.
        arriving: what is created after each answer.
    """

    batches: list[dict[str, Any]] = field(default_factory=list)
    page_size: int = 100
    precision: str = "second"
    arriving: list[Sequence[dict[str, Any]]] = field(default_factory=list)
    asked: int = 0

    def ask(self, after: datetime | None) -> list[dict[str, Any]]:
        """The first page of what was created after a time."""
        self.asked += 1
        assert self.asked < 1000, "it goes round in a loop"
        page = [b for b in self.batches if after is None or self._is_later(created(b), after)]
        page = page[: self.page_size]
        if self.arriving:
            self.batches.extend(self.arriving.pop(0))
        return page

    def _is_later(self, moment: datetime, after: datetime) -> bool:
        if self.precision == "second":
            return moment.replace(microsecond=0) >= after.replace(microsecond=0)
        return moment > after or (self.precision == "inclusive" and moment == after)

    def fits(self, moment: datetime) -> bool:
        """Whether a page holds all batches that cannot be told from those of a moment."""
        if self.precision == "second":
            first = moment.replace(microsecond=0)
            there = [b for b in self.batches if first <= created(b) < first + SECOND]
        else:
            tick = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
            there = [b for b in self.batches if tick - TICK <= created(b) < tick + TICK]
        return len(there) < self.page_size

    def __call__(self, handler: Handler, request: Request) -> None:
        """Answer over HTTP."""
        assert request.path == "/batches"
        text = request.parameters.get("after")
        assert text is None or re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", text)
        after = None if text is None else datetime.fromisoformat(text)
        reply(json.dumps(self.ask(after)).encode())(handler, request)
