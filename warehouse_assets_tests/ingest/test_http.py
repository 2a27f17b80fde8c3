"""Pages over HTTP: what is tried again, how long is waited, and what is said in the end."""

import time
from base64 import b64decode
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest

from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.http import HttpPages, Patience, shown
from warehouse_assets.progress import heard_by
from warehouse_assets_tests.ingest.http_server import (
    Answer,
    Server,
    cut,
    drip,
    drip_headers,
    packed,
    reply,
    reset,
    serving,
    silent,
)
from warehouse_assets_tests.ports import free_port

PAGE = [{"id": 1, "name": "ö"}, {"id": 2}]
HTML = b"<!DOCTYPE html><html><body>Down for maintenance</body></html>"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(reply(PAGE)) as server:
        yield server


class Asked:
    """A client without patience, and how long it waited instead of waiting."""

    def __init__(self, server: Server, path: str = "/batches", **limits: Any) -> None:
        self.waits: list[float] = []
        self.told: list[str] = []
        patience = Patience(
            **{
                "attempts": 4,
                "read_seconds": 0.15,
                "sleep": self.waits.append,
                **limits,
            }
        )
        address = server.address + path
        self.pages = HttpPages(address, "BATCHES_URL", patience)

    def page(self, **parameters: str) -> list[object]:
        try:
            with heard_by(self.told.append):
                return self.pages.page(parameters)
        finally:
            self.pages.close()


def test_a_page_is_read_as_json_whatever_it_is_called(server: Server) -> None:
    asked = Asked(server)
    assert asked.page(after="2026-11-20T13:51:54.463") == PAGE
    (request,) = server.requests
    assert (request.path, request.parameters) == ("/batches", {"after": "2026-11-20T13:51:54.463"})
    assert request.headers["User-Agent"].startswith("warehouse_assets/")
    assert (asked.pages.pages_read, asked.waits, asked.told) == (1, [], [])
    assert asked.pages.bytes_read > 30


def test_redirects_are_followed_and_a_page_may_be_packed(server: Server) -> None:
    server.script = [reply(b"", status, Location="/moved") for status in (301, 302, 307, 308)]
    server.usual = packed(PAGE)
    assert Asked(server).page() == PAGE
    assert [request.path for request in server.requests] == ["/batches", *["/moved"] * 4]


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (reply(HTML, 500), "500"),
        (reply({"error": "busy"}, 503), "busy"),
        (reply(b"", 429), "429"),
        (cut(PAGE), "not whole JSON"),
        (cut(PAGE, promised=900), "900|more expected"),
        (reply(HTML), "HTML page: .*maintenance"),
        (reply(b""), "nothing"),
        (reply(b"\xff[]"), "not whole JSON"),
        (reply(b"[" * 100_000), "not whole JSON"),
        (reply(b"junk", Content_Encoding="gzip"), "decompressing"),
        (reset, "reset|aborted|Connection"),
        (silent, "timed out"),
    ],
)
def test_what_may_pass_is_tried_again(server: Server, failure: Answer, words: str) -> None:
    server.script = [failure, failure]
    asked = Asked(server)
    assert asked.page() == PAGE
    assert len(asked.waits) == 2
    server.script = [failure] * 4
    with pytest.raises(SourceError, match=f"(?s)tried 4 times.*({words})") as raised:
        asked.page()
    message = str(raised.value)
    assert "\n" not in message
    assert "0x" not in message
    for part in (f"{server.address}/batches", "BATCHES_URL", "the next run"):
        assert part in message
    assert all(f"{server.address}/batches" in text for text in asked.told)


def test_waits_grow_up_to_a_limit_and_differ(server: Server) -> None:
    server.usual = reply(b"", 500)
    asked = Asked(server, attempts=8)
    with pytest.raises(SourceError, match="tried 8 times"):
        asked.page()
    for wait, longest in zip(asked.waits, [1, 2, 4, 8, 16, 30, 30], strict=True):
        assert longest / 2 <= wait <= longest
    assert len(set(asked.waits)) > 5


def test_a_server_may_ask_for_a_wait(server: Server) -> None:
    now = datetime.now(timezone.utc)
    server.script = [
        reply(b"", 429, Retry_After="7"),
        reply(b"", 503, Retry_After="0"),
        reply(b"", 503, Retry_After=format_datetime(now + timedelta(seconds=20), usegmt=True)),
        reply(b"", 503, Retry_After=format_datetime(now - timedelta(days=2), usegmt=True)),
        reply(b"", 503, Retry_After="soon"),
    ]
    asked = Asked(server, attempts=6)
    assert asked.page() == PAGE
    seven, zero, until, past, soon = asked.waits
    assert (seven, zero, past) == (7, 0, 0)
    assert 15 < until <= 20
    assert soon > 0


@pytest.mark.parametrize("asked_for", ["3600", "Fri, 31 Dec 2999 23:59:59 GMT"])
def test_a_wait_that_is_too_long_ends_at_once(server: Server, asked_for: str) -> None:
    server.usual = reply(b"", 429, Retry_After=asked_for)
    asked = Asked(server, setting="SOME_SECONDS")
    with pytest.raises(SourceError, match=r"429.* asks for a longer wait") as raised:
        asked.page()
    for part in (f"{server.address}/batches", "tried once within 120 seconds", "SOME_SECONDS"):
        assert part in str(raised.value)
    assert asked.waits == []


@pytest.mark.parametrize("answer", [silent, drip, drip_headers])
def test_a_page_takes_no_longer_than_it_may(server: Server, answer: Answer) -> None:
    server.usual = answer  # these go on for ten seconds, or for ever
    patience = Patience.of(0.4, "SOME_SECONDS")
    pages = HttpPages(f"{server.address}/batches", "BATCHES_URL", patience)
    started = time.monotonic()
    with pytest.raises(
        SourceError, match=r"within 0\.4 seconds \(setting SOME_SECONDS\)"
    ) as raised:
        pages.page({})
    assert time.monotonic() - started < 5
    assert f"{server.address}/batches" in str(raised.value)


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (reply(b"no", 400), "400"),
        (reply(b"", 401), "user and a password"),
        (reply(b"", 403), "not allow"),
        (reply(HTML, 404), "404.*does not know"),
        (reply(b"", 599), "599"),
        (reply({"batches": []}), "not an array"),
        (reply(None), "not an array"),
        (reply(b"", 302, Location="/batches"), "redirects"),
    ],
)
def test_what_will_not_pass_is_not_tried_again(server: Server, failure: Answer, words: str) -> None:
    server.usual = failure
    asked = Asked(server)
    with pytest.raises(SourceError, match=words) as raised:
        asked.page()
    assert (asked.waits, asked.told) == ([], [])
    assert f"{server.address}/batches cannot be read" in str(raised.value)
    assert "BATCHES_URL" in str(raised.value)


def test_an_answer_is_read_up_to_a_limit(server: Server) -> None:
    server.script = [packed([0] * 100_000)]
    with pytest.raises(SourceError, match="longer than 10,000 bytes"):
        Asked(server, most_bytes=10_000).page()


def test_numbers_that_python_cannot_hold_do_not_break_the_page(server: Server) -> None:
    server.script = [reply(b'[{"id": ' + b"9" * 9000 + b', "a": 1e999, "b": NaN, "c": 1.5}]')]
    assert Asked(server).page() == [{"id": "9" * 9000, "a": "1e999", "b": "NaN", "c": 1.5}]


def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    port = free_port()
    address = f"http://me:secret@127.0.0.1:{port}/x"
    waits: list[float] = []
    told: list[str] = []
    pages = HttpPages(address, "BATCHES_URL", Patience(attempts=2, sleep=waits.append))
    message = r"tried 2 times.*Connection refused"
    with heard_by(told.append), pytest.raises(SourceError, match=message) as raised:
        pages.page({})
    assert len(waits) == 1
    assert f"http://me:***@127.0.0.1:{port}/x" in str(raised.value)
    assert "secret" not in str(raised.value) + "".join(told)


@pytest.mark.parametrize(
    ("written", "password"),
    [
        ("secret", "secret"),
        ("s%40e%2Fc%3Ar%23e%3Ft%25%5B", "s@e/c:r#e?t%["),
        ("s@e:c", "s@e:c"),
        ("s%e", "s%e"),
    ],
)
def test_a_password_in_the_address_is_used(server: Server, written: str, password: str) -> None:
    server.address = server.address.replace("http://", f"http://me:{written}@")
    assert Asked(server).page() == PAGE
    kind, _, given = server.requests[0].headers["Authorization"].partition(" ")
    assert (kind, b64decode(given).decode()) == ("Basic", f"me:{password}")


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("http://host/x", "http://host/x"),
        ("https://me:pw@host:8/x?y=z", "https://me:***@host:8/x?y=z"),
        ("https://me:p@w@host/x", "https://me:***@host/x"),
        ("https://token@host/x", "https://***@host/x"),
        ("http://me:pw@[::1/x", "http://me:***@[::1/x"),
        ("http://host/x?mail=a@b", "http://host/x?mail=a@b"),
    ],
)
def test_passwords_are_not_shown(address: str, masked: str) -> None:
    assert shown(address) == masked


@pytest.mark.parametrize("address", ["http://", "http://[::1", "ftp://host/x"])
def test_an_address_that_is_none_is_told(address: str) -> None:
    with pytest.raises(SourceError, match="not an address"):
        HttpPages(address, "BATCHES_URL", Patience()).page({})
