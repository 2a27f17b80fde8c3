"""The logs of the service: what it has to say, and a JSON object on a line for each request."""

import asyncio
import json
import logging
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

LOGS: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "words": {
            "class": "warehouse_assets.terminal_text.VisibleFormatter",
            "format": "%(asctime)s %(levelname)s %(message)s",
        },
        "access": {"format": "%(message)s"},
    },
    "handlers": {
        "words": {"class": "logging.StreamHandler", "formatter": "words"},
        "access": {"class": "logging.StreamHandler", "formatter": "access"},
    },
    "loggers": {
        "uvicorn": {"handlers": ["words"], "level": "WARNING", "propagate": False},
        "warehouse_assets": {"handlers": ["words"], "level": "INFO", "propagate": False},
        "warehouse_assets.api.access": {
            "handlers": ["access"],
            "level": "INFO",
            "propagate": False,
        },
    },
}
"""How Python's logging is configured; all goes to standard error."""
_SECONDS_UNTIL_WRITTEN = 0.2
_access = logging.getLogger("warehouse_assets.api.access")


class AccessLog:
    """Collects lines for a moment, since each writing costs as much as a short answer.

    Without what follows the path: that may hold addresses of webhooks.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, entry: Mapping[str, Any]) -> None:
        """Add a request that has been answered; on the event loop only."""
        if not _access.isEnabledFor(logging.INFO):
            return
        at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        self._lines.append(json.dumps({"at": at, **entry}))
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_SECONDS_UNTIL_WRITTEN, self.flush)

    def flush(self) -> None:
        """Write what has been collected."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            _access.info("%s", "\n".join(self._lines))
            self._lines.clear()
