"""The routes of deliveries: what is sent is in the feed, and the average is told as it moves."""

import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from warehouse_assets_tests.api.serving import (
    Served,
    assert_is_problem,
    eventually,
    listening_to,
)
from warehouse_assets_tests.defs.deliveries.steps import ORIGINAL


def send(served: Served, body: Any) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body)
    return served.client.post(f"{served.address}/deliveries", data=content)


def average(served: Served) -> Any:
    return served.client.get(f"{served.address}/deliveries/average").json()


def await_average(served: Served, sent: Any) -> Any:
    """The average when what was sent is in it."""
    eventually(lambda: average(served)["position"] >= sent.json()["position"])
    return average(served)


def test_steps_sent_one_by_one_and_together_come_into_the_average(served: Served) -> None:
    assert average(served)["average_seconds"] is None
    first = send(served, ORIGINAL[0])
    rest = send(served, ORIGINAL[1:])

    assert (first.status_code, first.json()["records"]) == (202, 1)
    assert (rest.status_code, rest.json()["records"]) == (202, 7)
    now = await_average(served, rest)
    assert first.json()["position"] < rest.json()["position"] == now["position"]
    assert (now["average_seconds"], now["successes"], now["abandoned"]) == (1200, 1, 1)
    assert (now["open"], now["records"], now["newest_at"]) == (1, 8, "2020-01-01T12:35:00")


def test_the_position_counts_on_after_a_rotation_and_past_a_cut_line(served: Served) -> None:
    feed = served.service.settings.deliveries_feed
    await_average(served, send(served, ORIGINAL[:4]))
    feed.rename(feed.with_name(feed.name + ".1"))
    send(served, ORIGINAL[4:6])
    with feed.open("ab") as stream:
        stream.write(b'{"Delivery St')

    sent = send(served, ORIGINAL[6:])

    now = await_average(served, sent)
    assert sent.json()["position"] == now["position"]
    assert (now["average_seconds"], now["records"], now["rejected"]) == (1200, 8, 1)


def test_what_cannot_be_used_is_refused_as_a_whole(served: Served) -> None:
    for body, status, at in [
        (b"{", 400, None),
        (b"\xff", 400, None),
        (b"", 400, None),
        ([], 422, "body"),
        (7, 422, "body"),
        ([ORIGINAL[0], 7], 422, "body.1"),
        ({**ORIGINAL[0], "Delivery Step": 7}, 422, "body.Delivery Step"),
        ([{**ORIGINAL[0], "Timestamp": "2999-01-01T00:00:00"}], 422, "body.0.Timestamp"),
        (b"[" + b" " * 10_000_000, 413, None),
    ]:
        answer = send(served, body)
        assert_is_problem(answer, status)
        assert answer.json().get("errors", [{}])[0].get("at") == at
    assert not served.service.settings.deliveries_feed.exists()

    served.service.settings.deliveries_feed.mkdir(parents=True)
    assert_is_problem(send(served, ORIGINAL), 503, "DELIVERIES_FEED")


def test_the_stream_tells_the_average_at_once_and_whenever_it_moves(served: Served) -> None:
    with listening_to(f"{served.address}/deliveries/average/events") as stream:
        events = iter(stream)
        assert next(events).data["average_seconds"] is None
        send(served, ORIGINAL)
        heard = next(events)
        assert (heard.name, heard.data["average_seconds"]) == ("average", 1200)
        later = {"Customer": 2, "Timestamp": "2020-01-01T13:00:00", "Delivery Step": 1}
        end = {**later, "Timestamp": "2020-01-01T13:10:00", "Delivery Step": 4}
        send(served, [later, end])
        assert next(events).data["average_seconds"] == 900


def test_what_others_write_to_the_feed_is_in_the_average_and_trouble_is_waited_out(
    served: Served,
) -> None:
    settings = served.service.settings
    state = Path(sa.make_url(settings.state_url).database or "")
    state.parent.mkdir(parents=True, exist_ok=True)
    state.write_bytes(b"no database, but long enough to be looked at " * 100)
    feed = settings.deliveries_feed
    feed.parent.mkdir(parents=True, exist_ok=True)
    feed.write_text("{}\n")
    eventually(lambda: served.client.get(f"{served.address}/deliveries/average").status_code == 503)
    state.unlink()

    with feed.open("a") as stream:
        stream.writelines(json.dumps(record) + "\n" for record in ORIGINAL)

    eventually(lambda: average(served)["average_seconds"] == 1200)
