"""Telling the events of ingestions to the addresses that their senders named."""

import asyncio
import logging
import threading
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests

from warehouse_assets.api.problems import Refusal
from warehouse_assets.ingestions import Event, Ingestion, Ingestions, Webhook

_UNTOLD = frozenset({"received", "progress"})
_LAST = frozenset({"succeeded"})
SECONDS_BEFORE_TRIES = (0.0, 0.5, 2.0, 8.0, 30.0)
"""How long an address that does not take an event is left alone before each try."""
_SECONDS_TO_CONNECT_AND_TO_ANSWER = (5, 10)
_LONGEST_ADDRESS = 2000
_WORTH_ANOTHER_TRY = frozenset({408, 425, 429})
_logger = logging.getLogger(__name__)


def check(url: str, hosts: frozenset[str]) -> None:
    """Refuse a `url` that cannot be told events, of those `hosts` that may be.

    Raises:
        Refusal: it is no address, or not on one of them.
    """
    reason = None
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        reason = "it is not an address"
    else:
        if len(url) > _LONGEST_ADDRESS or not url.isprintable() or " " in url:
            reason = "it is too long, or has characters that no address has"
        elif parts.scheme not in {"http", "https"} or not host:
            reason = "it must be an address, http://HOST… or https://…"
        elif "*" not in hosts and host not in hosts:
            reason = f"{host} is not among the hosts that may be told (setting WEBHOOK_HOSTS)"
    if reason is not None:
        raise Refusal(422, f"The webhook cannot be told: {reason}.", at="webhook")


class Webhooks:
    """One task for each ingestion that somebody is to be told of.

    Args:
        address: of the service, as people know it.
        stopped: set when the service ends; the next one goes on.
    """

    def __init__(
        self,
        ingestions: Ingestions,
        address: str,
        stopped: threading.Event,
    ) -> None:
        self._ingestions = ingestions
        self._address = address
        self._stopped = stopped
        self._tasks: set[asyncio.Task[None]] = set()
        self._session = requests.Session()
        # Neither credentials nor a proxy of whoever started the service are for strangers.
        self._session.trust_env = False

    def resume(self) -> None:
        """Go on with those that a former service did not finish."""
        for ingestion in self._ingestions.with_webhook():
            self.begin(ingestion)

    def begin(self, ingestion: Ingestion) -> None:
        """Tell the events of `ingestion` to its webhook, if it has one, until it is over."""
        if (webhook := ingestion.webhook) is not None:
            task = asyncio.create_task(self._tell_all(ingestion, webhook))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Stop; the next service goes on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._session.close()

    async def _tell_all(self, ingestion: Ingestion, webhook: Webhook) -> None:
        is_queued = any(event.name == "queued" for event in ingestion.events(0))
        async for event in ingestion.follow(self._stopped, webhook.told, _LAST):
            if event.name not in _UNTOLD:
                await self._tell(ingestion, webhook.url, event)
                _keep(ingestion, Webhook(url=webhook.url, told=event.number))
            is_queued = is_queued or event.name == "queued"
            # A file that is in the inbox may be taken later, after all.
            if event.name in _LAST or (event.name == "failed" and not is_queued):
                _keep(ingestion, None)
                return

    async def _tell(self, ingestion: Ingestion, url: str, event: Event) -> None:
        """Post one event; an address that does not take it is given up after some tries."""
        document = {
            "id": ingestion.id,
            "number": event.number,
            "event": event.name,
            "at": event.at.isoformat(),
            "data": dict(event.data),
            "status_url": f"{self._address}/{ingestion.kind}/ingestions/{ingestion.id}",
        }
        reason = ""
        for seconds in SECONDS_BEFORE_TRIES:
            await asyncio.sleep(seconds)
            reason, is_worth_another_try = await asyncio.to_thread(self._post, url, document)
            if not reason:
                return
            if not is_worth_another_try:
                break
        _logger.warning(
            "The webhook of ingestion %s at %s did not take the event %s: %s",
            ingestion.id,
            urlsplit(url).hostname,
            event.name,
            reason,
        )

    def _post(self, url: str, document: dict[str, Any]) -> tuple[str, bool]:
        """Why the address did not take `document`, empty if it did; and whether it may later."""
        try:
            with self._session.post(
                url,
                json=document,
                timeout=_SECONDS_TO_CONNECT_AND_TO_ANSWER,
                allow_redirects=False,
                stream=True,  # whatever it answers is not read
            ) as response:
                status = response.status_code
        except requests.RequestException as error:
            return type(error).__name__, True  # its text would have the address
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return "", False
        is_its_fault = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return f"it answered {status}", is_its_fault or status in _WORTH_ANOTHER_TRY


def _keep(ingestion: Ingestion, webhook: Webhook | None) -> None:
    try:
        ingestion.set_webhook(webhook)
    except OSError as error:
        _logger.warning("What the webhook of %s was told is not kept: %s", ingestion.id, error)
