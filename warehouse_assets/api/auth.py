"""Who may ask, before a route is looked for: only pages of this service, and who has a key."""

import base64
import binascii
import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi.responses import Response

from warehouse_assets.api import problems
from warehouse_assets.api.keys import Keys
from warehouse_assets.api.limits import RequestLimit
from warehouse_assets.settings import Settings

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_MOST_HOSTS_KNOWN = 1000
_BEARER = re.compile(r"bearer +(\S+)\s*", re.IGNORECASE)
_BASIC = re.compile(r"basic +(\S+)\s*", re.IGNORECASE)
_WITHOUT_KEY = frozenset({"/health/live", "/health/ready"})
# Browsers ask for a name and a password at the latter; the key is the password.
_CHALLENGE = 'Bearer realm="warehouse", Basic realm="warehouse", charset="UTF-8"'


@dataclass
class Asked:
    """What the guards look at of a request."""

    method: str
    path: str
    client: str
    host: str = ""
    origin: str = ""
    authorization: str = ""
    api_key: str = ""
    accept: str = ""


class OwnPagesOnly:
    """Refuses what a page of another site makes a browser of this network ask for.

    Such a page could send files to a service that listens on this machine only; and read its
    answers, by a name of its own for this machine's address, which is why then the name is
    checked, too.
    """

    def __init__(self, settings: Settings) -> None:
        public = urlsplit(settings.api_url)
        self._public = public.netloc.lower()
        self._hosts = (
            frozenset({"localhost", "127.0.0.1", "::1", settings.api_host, public.hostname or ""})
            if is_of_this_machine(settings.api_host)
            else None
        )
        self._known: set[str] = set()

    def refusal(self, asked: Asked) -> Response | None:
        """Why the request is not answered; None if it is."""
        host = asked.host.lower()
        if self._hosts is not None and host and host not in self._known:
            if _name_of(host) not in self._hosts:
                return problems.answer(
                    400,
                    f"This service listens on its own machine only and does not know itself as "
                    f"{host}. Set API_URL to the address under which it is reached.",
                )
            if len(self._known) < _MOST_HOSTS_KNOWN:  # they differ by their ports
                self._known.add(host)
        if asked.origin and asked.method not in _SAFE_METHODS:
            origin = asked.origin.lower()
            asked_from = urlsplit(origin).netloc if "://" in origin else origin
            if asked_from not in {host, self._public}:
                return problems.answer(
                    403, f"Pages of {asked_from} may not send anything to this service."
                )
        return None


class Clients:
    """Lets requests pass that have a key, where keys are wanted, and not too many of anybody."""

    def __init__(self, keys: Keys, limit: RequestLimit) -> None:
        self._keys = keys
        self._limit = limit

    def admit(self, asked: Asked) -> tuple[Response | None, str | None]:
        """Why the request is not answered, or None; and the name of the key that it has."""
        if asked.path in _WITHOUT_KEY:
            return None, None
        name = None
        if wanted := self._keys.are_wanted():
            given = _key_of(asked)
            name = self._keys.name(given) if given else None
        client = f"key {name}" if name else asked.client
        if wait := self._limit.seconds_to_wait(client):
            return _too_many(wait), name
        if wanted and name is None:
            return _without_key(), None
        return None, name


def is_of_this_machine(host: str) -> bool:
    """Whether only programs of this machine reach who listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _key_of(asked: Asked) -> str:
    """The key of a request, wherever it has it."""
    if found := _BEARER.fullmatch(asked.authorization):
        return found[1]
    if found := _BASIC.fullmatch(asked.authorization):
        return _password(found[1])
    return asked.api_key


def _password(credentials: str) -> str:
    """The password in the credentials of HTTP Basic; empty if there is none."""
    try:
        text = base64.b64decode(credentials, validate=True).decode("utf-8", "replace")
    except binascii.Error:
        return ""
    return text.partition(":")[2]


def _too_many(seconds: float) -> Response:
    return problems.answer(
        429,
        "You ask more often than the setting API_REQUESTS_PER_MINUTE allows.",
        headers={"Retry-After": str(int(seconds) + 1)},
    )


def _without_key() -> Response:
    return problems.answer(
        401,
        "This service wants a key: send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`, or "
        "as the password that a browser asks for.",
        headers={"WWW-Authenticate": _CHALLENGE},
    )


def _name_of(host: str) -> str:
    """The name or address in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
