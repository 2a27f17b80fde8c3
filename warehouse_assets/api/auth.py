"""Who may ask: requests of own pages, with a key where one is wanted, and of nobody too often.

Of keys only the hashes are known, from settings and a file. The file has a hash on each line, and
maybe the name of the key behind a `#`. It may be changed while the service runs. Where keys were
wanted once, they are until the service ends: a file that is lost opens nothing.
"""

import base64
import binascii
import hashlib
import ipaddress
import logging
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from fastapi.responses import Response
from starlette.types import Scope

from warehouse_assets.api import problems
from warehouse_assets.api.former import VERSION
from warehouse_assets.errors import SettingError
from warehouse_assets.settings import Settings

Headers = Mapping[bytes, bytes]
"""Headers of a request, their names in lower case."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER = re.compile(r"bearer +(\S+)\s*", re.IGNORECASE)
_BASIC = re.compile(r"basic +(\S+)\s*", re.IGNORECASE)
WITHOUT_KEY = frozenset(v + p for v in ("", VERSION) for p in ("/health/live", "/health/ready"))
"""What is answered without a key."""

# Browsers ask for a name and a password at the first; the key is the password. Each is a header of
# its own, for of several in one Chromium looks at one.
_CHALLENGES = ('Basic realm="warehouse", charset="UTF-8"', 'Bearer realm="warehouse"')
_SECONDS_OF_A_MINUTE = 60.0
_MOST_CLIENTS = 10_000
_A_TOKEN = 1 - 1e-9  # as many seconds as it takes to get one may give a little less
_HASH = re.compile("[0-9a-fA-F]{64}")
_SECONDS_BETWEEN_LOOKS = 0.25
_LENGTH_OF_UNNAMED = 8
_BYTES_OF_A_KEY = 32
_ONLY_OWN = 0o600
_logger = logging.getLogger(__name__)


class Keys:
    """The keys of the settings, and of the file as it is now.

    Raises:
        SettingError: the file was named and is not there, cannot be read, or has a line that is
            no hash.
    """

    def __init__(self, settings: Settings) -> None:
        self._path = settings.api_keys_file
        self._given = {found: found[:_LENGTH_OF_UNNAMED] for found in settings.api_keys}
        if "API_KEYS_FILE" in settings.given and not self._path.exists():
            raise SettingError(
                f"The file {self._path} of the setting API_KEYS_FILE is not there. Make it with "
                "`warehouse api-key`, or unset API_KEYS_FILE."
            )
        self._names: Mapping[str, str] = {}
        self._state: object = "never looked at"
        self._were_wanted = False
        self._look()

    def are_wanted(self) -> bool:
        """Whether a request needs a key."""
        if time.monotonic() >= self._next_look:
            try:
                self._look()
            except SettingError as error:
                _logger.warning("The keys known before are still in use: %s", error)
        return self._were_wanted

    def name(self, key: str) -> str | None:
        """The name of a key, or the beginning of its hash; None if it is none of ours."""
        # The time that this takes tells of hashes only, and nobody can choose a hash.
        return self._names.get(hash_of(key))

    def _look(self) -> None:
        """Read the file if it is another one than before."""
        self._next_look = time.monotonic() + _SECONDS_BETWEEN_LOOKS
        try:
            found = self._path.stat()
            state: object = (found.st_ino, found.st_size, found.st_mtime_ns)
        except OSError:
            state = None
        if state != self._state:
            self._state = state
            self._names = {**self._given, **read_hashes(self._path)}
            self._were_wanted |= bool(self._names)


def hash_of(key: str) -> str:
    """The hash by which a key is known: keys are random, so that SHA-256 is enough."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def read_hashes(path: Path) -> Mapping[str, str]:
    """The hashes in a file, each with the name of its key; none if there is no file.

    Raises:
        SettingError: it cannot be read, or a line is no hash.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingError(
            f"The file {path} of the setting API_KEYS_FILE cannot be read: {error.strerror}."
        ) from None
    names = {}
    for number, line in enumerate(text.splitlines(), start=1):
        hashed, _, name = (part.strip() for part in line.partition("#"))
        if not hashed:
            continue
        if not _HASH.fullmatch(hashed):
            raise SettingError(
                f"Line {number} of {path} (setting API_KEYS_FILE) is not the hash of a key: it "
                "must be 64 hexadecimal digits. `warehouse api-key` adds one."
            )
        names[hashed.lower()] = name or hashed[:_LENGTH_OF_UNNAMED].lower()
    return names


def add_key(path: Path, name: str = "") -> str:
    """Add the hash of a new random key to a file that only its owner may read; returns the key.

    Raises:
        SettingError: the file cannot be written, or is none of hashes.
    """
    key = secrets.token_urlsafe(_BYTES_OF_A_KEY)
    read_hashes(path)
    line = hash_of(key) + (f" # {name}" if name else "") + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(_ONLY_OWN)
        path.chmod(_ONLY_OWN)
        is_cut = path.read_bytes()[-1:] not in {b"", b"\n"}
        with path.open("ab") as file:
            file.write((b"\n" if is_cut else b"") + line.encode())
    except OSError as error:
        raise SettingError(
            f"The file {path} of the setting API_KEYS_FILE cannot be written: {error.strerror}."
        ) from None
    return key


class RequestLimit:
    """At most `per_minute` requests at once, and as many a minute after that; 0 is no limit.

    Each request takes a token of its client's bucket. Of the clients that asked longest ago nothing
    is remembered when there are too many.
    """

    def __init__(
        self,
        per_minute: int,
        clock: Callable[[], float] = time.monotonic,
        most_clients: int = _MOST_CLIENTS,
    ) -> None:
        self._per_minute = per_minute
        self._per_second = per_minute / _SECONDS_OF_A_MINUTE
        self._clock = clock
        self._most_clients = most_clients
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def seconds_to_wait(self, client: str) -> float:
        """0 if `client` may make a request now, which then counts; else when it may."""
        if not self._per_minute:
            return 0.0
        now = self._clock()
        tokens, since = self._buckets.get(client, (float(self._per_minute), now))
        tokens = min(tokens + (now - since) * self._per_second, float(self._per_minute))
        wait = 0.0 if tokens >= _A_TOKEN else (1 - tokens) / self._per_second
        self._buckets[client] = (tokens if wait else tokens - 1, now)
        self._buckets.move_to_end(client)
        if len(self._buckets) > self._most_clients:
            self._buckets.popitem(last=False)
        return wait


class Guard:
    """Lets requests pass that come from no other site, have a key where one is wanted, and are not
    too many of anybody.

    A page of another site could have a browser of this network send files to a service that listens
    on this machine only; and read its answers, by a name of its own for this machine's address,
    which is why then the name is checked, too.
    """

    def __init__(self, settings: Settings, keys: Keys) -> None:
        public = urlsplit(settings.api_url)
        self._public = public.netloc.lower()
        self._hosts = (
            frozenset({"localhost", "127.0.0.1", "::1", settings.api_host, public.hostname or ""})
            if is_of_this_machine(settings.api_host)
            else None
        )
        self._origins = settings.cors_origins
        self._keys = keys
        self._limit = RequestLimit(settings.api_requests_per_minute)

    def admit(self, scope: Scope, headers: Headers) -> tuple[Response | None, str | None]:
        """Why the request is not answered, or None; and the name of the key that it has."""
        if (refusal := self._of_another_site(scope, headers)) or scope["path"] in WITHOUT_KEY:
            return refusal, None
        name = None
        if wanted := self._keys.are_wanted():
            given = _key_of(headers)
            name = self._keys.name(given) if given else None
        if wait := self._limit.seconds_to_wait(f"key {name}" if name else client_of(scope)):
            reason = "You ask more often than the setting API_REQUESTS_PER_MINUTE allows."
            return problems.answer(429, reason, headers={"Retry-After": str(int(wait) + 1)}), name
        if wanted and name is None:
            reason = (
                "This service wants a key: send it as `Authorization: Bearer KEY` or "
                "`X-API-Key: KEY`, or as the password that a browser asks for."
            )
            refusal = problems.answer(401, reason)
            for challenge in _CHALLENGES:
                refusal.headers.append("WWW-Authenticate", challenge)
            return refusal, None
        return None, name

    def _of_another_site(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if self._hosts is not None and host and _name_of(host) not in self._hosts:
            return problems.answer(
                400,
                f"This service listens on its own machine only and does not know itself as "
                f"{host}. Set API_URL to the address under which it is reached.",
            )
        if scope["method"] not in _SAFE_METHODS and b"origin" in headers:
            origin = headers[b"origin"].decode("latin-1").lower()
            asked_from = urlsplit(origin).netloc if "://" in origin else origin
            is_allowed = not self._origins.isdisjoint({origin, "*"})
            if asked_from not in {host, self._public} and not is_allowed:
                return problems.answer(
                    403,
                    f"Pages of {asked_from} may not send anything to this service, unless the "
                    "setting CORS_ORIGINS names them.",
                )
        return None


def is_of_this_machine(host: str) -> bool:
    """Whether only programs of this machine reach who listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def client_of(scope: Scope) -> str:
    """The address of who asks; empty where it is not known."""
    return scope["client"][0] if scope.get("client") else ""


def _key_of(headers: Headers) -> str:
    """The key of a request, wherever it has it."""
    authorization = headers.get(b"authorization", b"").decode("latin-1")
    if found := _BEARER.fullmatch(authorization):
        return found[1]
    if found := _BASIC.fullmatch(authorization):
        try:
            text = base64.b64decode(found[1], validate=True).decode("utf-8", "replace")
        except binascii.Error:
            return ""
        return text.partition(":")[2]
    return headers.get(b"x-api-key", b"").decode("latin-1")


@lru_cache(maxsize=1000)
def _name_of(host: str) -> str:
    """The name or address in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
