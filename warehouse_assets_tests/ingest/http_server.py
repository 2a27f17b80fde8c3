"""A server on this machine that answers as it is told, also badly."""

import gzip
import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Request:
    """What a client asked for."""

    path: str
    parameters: dict[str, str]
    headers: dict[str, str]


@dataclass
class Server:
    """Answers come from `script`, one after the other, and then from `usual`."""

    address: str
    usual: "Answer"
    script: list["Answer"] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def asked_after(self) -> list[str | None]:
        """The times after which it was asked."""
        return [request.parameters.get("after") for request in self.requests]


class Handler(BaseHTTPRequestHandler):
    """Gives the next answer of the script."""

    protocol_version = "HTTP/1.1"
    server: "_HttpServer"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        request = Request(parts.path, dict(parse_qsl(parts.query)), dict(self.headers))
        told = self.server.told
        told.requests.append(request)
        answer = told.script.pop(0) if told.script else told.usual
        answer(self, request)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


Answer = Callable[[Handler, Request], None]


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    told: Server

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests are about."""


def reply(content: Any, status: int = 200, **headers: str) -> Answer:
    """Answers with bytes, or with something as JSON, as a page of text."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()

    def answer(handler: Handler, request: Request) -> None:
        handler.send_response(status)
        handler.send_header("Content-type", "text/html")
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def packed(content: Any) -> Answer:
    """Answers with JSON compressed by gzip."""
    return reply(gzip.compress(json.dumps(content).encode()), Content_Encoding="gzip")


def cut(content: Any, promised: int = 0) -> Answer:
    """Answers with the first half of a JSON text, and closes the connection.

    Says that it sends `promised` bytes, or nothing of how many.
    """
    body = json.dumps(content).encode()

    def answer(handler: Handler, request: Request) -> None:
        handler.send_response(200)
        if promised:
            handler.send_header("Content-Length", str(promised))
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2])
        handler.close_connection = True

    return answer


def reset(handler: Handler, request: Request) -> None:
    """Breaks the connection off."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def silent(handler: Handler, request: Request) -> None:
    """Does not answer."""
    handler.server.told.stopped.wait(10)


def drip(handler: Handler, request: Request) -> None:
    """Sends a byte now and then, always soon enough for a client that waits for the next one."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    while not handler.server.told.stopped.wait(0.02):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def drip_headers(handler: Handler, request: Request) -> None:
    """Sends headers byte by byte, for ever."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
    while not handler.server.told.stopped.wait(0.02):
        handler.wfile.write(b"x")
        handler.wfile.flush()


@contextmanager
def serving(usual: Answer) -> Iterator[Server]:
    """A server on a free port while the block runs."""
    server = _HttpServer(("127.0.0.1", 0), Handler)
    here = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    server.told = Server(f"http://127.0.0.1:{server.server_port}", usual)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with patch.dict(os.environ, here):
            yield server.told
    finally:
        server.told.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()
