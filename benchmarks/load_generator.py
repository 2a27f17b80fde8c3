"""Asks a service as fast as it answers, on connections that stay open.

Plain sockets, one loop that waits for all of them, and a parser of no more than what is needed: the
generator shares the machine with the service, and must cost little beside it.
"""

import random
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

_OK = (b" 200", b" 304")
_END_OF_HEADERS = b"\r\n\r\n"
_LENGTH = b"content-length:"
_BYTES_AT_ONCE = 256 * 1024
_SECONDS_WITHOUT_ANSWER = 60


@dataclass(frozen=True)
class Load:
    """What a service did under load; times are in milliseconds."""

    failures: int
    requests_per_second: float
    p50: float
    p99: float


def load(
    host: str, port: int, paths: Sequence[str], connections: int, seconds: float, seed: int = 1
) -> Load:
    """Ask for random ones of `paths`, a request after the other on each of the connections.

    Raises:
        ConnectionError: the service closed a connection.
        TimeoutError: it did not answer for a minute.
    """
    chance = random.Random(seed)
    requests = [_request(host, port, path) for path in paths]
    times: list[float] = []
    failures = 0
    with selectors.DefaultSelector() as selector:
        began = time.perf_counter()
        deadline = began + seconds
        for _ in range(connections):
            connection = _Connection(host, port)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.ask(chance.choice(requests))
        asking = connections
        while asking:
            ready = selector.select(_SECONDS_WITHOUT_ANSWER)
            if not ready:
                raise TimeoutError(f"No answer within {_SECONDS_WITHOUT_ANSWER} s")
            for key, _ in ready:
                connection = key.data
                status = connection.receive()
                if status is None:
                    continue
                now = time.perf_counter()
                times.append(now - connection.asked_at)
                failures += status not in _OK
                if now < deadline:
                    connection.ask(chance.choice(requests))
                else:
                    selector.unregister(connection.socket)
                    connection.socket.close()
                    asking -= 1
        took = time.perf_counter() - began
    times.sort()
    return Load(
        failures=failures,
        requests_per_second=round(len(times) / took, 1),
        p50=round(times[len(times) // 2] * 1000, 3),
        p99=round(times[len(times) * 99 // 100] * 1000, 3),
    )


class _Connection:
    """A connection on which one request at a time waits for its answer."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.asked_at = 0.0
        self._received = b""

    def ask(self, request: bytes) -> None:
        """Send a request."""
        self.asked_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bytes | None:
        """Take what has arrived; the status, as ` 200`, once that is the whole answer."""
        arrived = self.socket.recv(_BYTES_AT_ONCE)
        if not arrived:
            raise ConnectionError("The service closed a connection")
        received = self._received = self._received + arrived
        end = received.find(_END_OF_HEADERS)
        if end < 0:
            return None
        status = received[8:12]
        length = 0 if status == b" 304" else _length(received[:end])
        if len(received) < end + len(_END_OF_HEADERS) + length:
            return None
        self._received = b""
        return status


def _request(host: str, port: int, path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: */*\r\n\r\n".encode()


def _length(head: bytes) -> int:
    lowered = head.lower()
    begin = lowered.index(_LENGTH) + len(_LENGTH)
    return int(lowered[begin:].split(b"\r", 1)[0])
