import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from warehouse_assets.api import webhooks
from warehouse_assets.api.problems import Refusal
from warehouse_assets.ingestions import Ingestion, Webhook
from warehouse_assets_tests.api.serving import Served, eventually, serving, settings_of

FILE = b"region\nPrague\n"
LOCAL = frozenset({"localhost", "127.0.0.1"})


class Receiver(ThreadingHTTPServer):
    """Takes what is posted, after answering with the statuses of `script`."""

    def __init__(self, script: list[int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        self.tried: list[str] = []
        self.taken: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?token=s3cret"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.tried.append(document["event"])
        status = self.server.script.pop(0) if self.server.script else 204
        if status < 300:
            self.server.taken.append(document)
        self.send_response(status)
        if status == 307:
            self.send_header("Location", self.server.url)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def receiving(*script: int) -> Iterator[Receiver]:
    with Receiver(list(script)) as receiver:
        thread = Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()


def await_end(ingestion: Ingestion) -> None:
    """Wait until everything has been told."""
    eventually(lambda: ingestion.webhook is None)


@pytest.fixture(autouse=True)
def quick_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "SECONDS_BEFORE_TRIES", (0.0, 0.05, 0.05, 0.05))


def test_events_are_posted_in_order_to_one_that_fails_twice_until_it_is_over(
    served: Served,
) -> None:
    with receiving(500, 503) as receiver:
        ingestion = served.ingestion(served.send(FILE, params={"webhook": receiver.url}))
        ingestion.tell("started", run_id="1")
        ingestion.tell("progress", rows=1)
        ingestion.tell("failed", reason="The disk was full.")
        eventually(lambda: len(receiver.taken) == 3)
        ingestion.tell("succeeded", rows=1, rejected=0, is_known=False)
        await_end(ingestion)

    assert receiver.tried[:3] == ["queued"] * 3
    assert [(document["number"], document["event"]) for document in receiver.taken] == [
        (2, "queued"),
        (3, "started"),
        (5, "failed"),
        (6, "succeeded"),
    ]
    last = receiver.taken[-1]
    assert last["data"] == {"rows": 1, "rejected": 0, "is_known": False}
    assert last["id"] == ingestion.id
    assert last["status_url"] == f"http://127.0.0.1:8642/trips/ingestions/{ingestion.id}"


def test_the_next_service_goes_on_after_what_was_told(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    with receiving() as receiver:
        with serving(settings) as served:
            # A form may name the webhook after the file.
            sent = served.send_form(file=("x.csv", FILE), webhook=(None, receiver.url))
            ingestion = served.ingestion(sent)
            eventually(lambda: ingestion.webhook == Webhook(url=receiver.url, told=2))
        ingestion.tell("succeeded")
        with serving(settings):
            await_end(ingestion)

    assert [document["event"] for document in receiver.taken] == ["queued", "succeeded"]


def test_redirects_refusals_and_nobody_are_given_up_without_telling_the_address(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("warehouse_assets").propagate = True
    for status in (307, 404, None):
        with receiving(*([status] if status else [])) as receiver, caplog.at_level(logging.WARNING):
            if status is None:
                receiver.server_close()
            ingestion = served.ingestion(served.send(FILE, params={"webhook": receiver.url}))
            ingestion.tell("succeeded")
            await_end(ingestion)

        assert receiver.tried == ([] if status is None else ["queued", "succeeded"])
        assert (f"it answered {status}" if status else "ConnectionError") in caplog.text
    assert "s3cret" not in caplog.text


def test_only_addresses_on_the_hosts_of_the_setting_are_told() -> None:
    for url, reason in [
        ("http://example.com/", "WEBHOOK_HOSTS"),
        ("http://127.0.0.1.example.com/", "WEBHOOK_HOSTS"),
        ("http://localhost@example.com/", "WEBHOOK_HOSTS"),
        ("http://169.254.169.254/", "WEBHOOK_HOSTS"),
        ("http://[::1/", "not an address"),
        ("http://localhost:99999/", "not an address"),
        ("file:///etc/passwd", "http://"),
        ("localhost", "http://"),
        ("http:///x", "http://"),
        ("http://localhost/\r\nX: y", "characters"),
        ("http://localhost/" + "x" * 2000, "too long"),
        ("", "http://"),
    ]:
        with pytest.raises(Refusal) as refused:
            webhooks.check(url, LOCAL)
        assert reason in refused.value.detail
    webhooks.check("https://example.com:8443/x", frozenset({"*"}))
    webhooks.check("http://LOCALHOST/x", LOCAL)


def test_an_upload_whose_webhook_may_not_be_told_is_refused_whole(served: Served) -> None:
    url = "http://example.com/?token=s3cret"
    for response in (
        served.send(FILE, params={"webhook": url}),
        served.send_form(file=("x.csv", FILE), webhook=(None, url)),
    ):
        assert response.status_code == 422
        assert response.json()["errors"][0]["at"] == "webhook"
    assert served.inbox == []
    assert served.runs.requested == 0
