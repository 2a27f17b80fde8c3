"""The keys that requests must have: only their hashes are known, from settings and a file.

The file has a hash on each line, and maybe the name of the key behind a `#`. It may be changed
while the service runs. Where keys were wanted once, they are until the service ends: a file that
is lost opens nothing.
"""

import hashlib
import hmac
import logging
import os
import re
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

from warehouse_assets.errors import SettingError
from warehouse_assets.settings import Settings

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
        hashed, name = hash_of(key), None
        # All are compared, so that the time tells nothing of which one it is like.
        for known, its_name in self._names.items():
            if hmac.compare_digest(hashed, known):
                name = its_name
        return name

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
        with os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, _ONLY_OWN), "r+b") as f:
            os.fchmod(f.fileno(), _ONLY_OWN)
            is_cut = f.seek(0, os.SEEK_END) and f.seek(-1, os.SEEK_END) >= 0 and f.read(1) != b"\n"
            f.write((b"\n" if is_cut else b"") + line.encode())
    except OSError as error:
        raise SettingError(
            f"The file {path} of the setting API_KEYS_FILE cannot be written: {error.strerror}."
        ) from None
    return key
