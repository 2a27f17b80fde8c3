"""Ports for servers that have to be told one before they start."""

import secrets
import socket
from contextlib import suppress

_FIRST, _NUMBER = 20_000, 12_000


def free_port() -> int:
    """A port of this machine that nobody has.

    It is below those that systems hand out by themselves, which a client may get in the meantime.
    """
    while True:
        port = _FIRST + secrets.randbelow(_NUMBER)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
