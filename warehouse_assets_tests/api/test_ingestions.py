from warehouse_assets_tests.api.serving import (
    Served,
    assert_is_problem,
    events_url,
    listening_to,
    pages,
)


def test_events_are_heard_as_they_happen_until_it_is_over(served: Served) -> None:
    ingestion = served.create("a.csv")
    heard = []
    with listening_to(events_url(served, ingestion)) as stream:
        for event in stream:
            heard.append((event.id, event.name))
            # What follows is told when this was heard: a stream that held events back would hang.
            following = {"received": "queued", "queued": "started", "started": "progress"}
            if event.name in following:
                ingestion.tell(following[event.name])
            elif event.name == "progress" and event.id < 8:
                ingestion.tell("progress", rows=event.id)
            elif event.name == "progress":
                ingestion.tell("succeeded", rows=8, rejected=0, is_known=False)

    names = ["received", "queued", "started", *["progress"] * 5, "succeeded"]
    assert heard == list(enumerate(names, start=1))


def test_a_stream_is_joined_late_and_resumed_where_it_broke_off(served: Served) -> None:
    ingestion = served.create("a.csv")
    ingestion.tell("queued")
    url = events_url(served, ingestion)
    with listening_to(url) as stream:
        assert [next(iter(stream)).id] == [1]
    ingestion.tell("started")
    ingestion.tell("failed", reason="Ünusable")

    with listening_to(url) as stream:
        heard = list(stream)
    assert [event.name for event in heard] == ["received", "queued", "started", "failed"]
    assert heard[-1].data["reason"] == "Ünusable"
    with listening_to(url, headers={"Last-Event-ID": "1"}) as stream:
        assert [event.id for event in stream] == [2, 3, 4]
    with listening_to(f"{url}?after=3") as stream:
        assert [event.id for event in stream] == [4]
    # A browser that has heard all is told not to connect again.
    assert served.client.get(url, headers={"Last-Event-ID": "4"}).status_code == 204
    assert served.client.get(url, headers={"Last-Event-ID": "x"}).status_code == 422


def test_each_listener_hears_its_own_ingestion(served: Served) -> None:
    first, second = served.create("a.csv"), served.create("b.csv")
    with (
        listening_to(events_url(served, first)) as to_first,
        listening_to(events_url(served, second)) as to_second,
    ):
        second.tell("succeeded")
        assert [event.name for event in to_second] == ["received", "succeeded"]
        first.tell("failed")
        assert [event.name for event in to_first] == ["received", "failed"]


def test_there_are_no_events_of_what_is_not_there(served: Served) -> None:
    for known in ("nothing", "..%2f..%2fetc", "20261121-093042123456-5e0c7a1b"):
        url = f"{served.address}/trips/ingestions/{known}/events"
        assert_is_problem(served.client.get(url), 404)


def test_the_status_tells_what_became_of_it(served: Served) -> None:
    ingestion = served.ingestion(served.send(b"x,y\n", params={"name": "a.csv"}))
    url = f"{served.address}/trips/ingestions/{ingestion.id}"

    ingestion.tell("started", run_id="5f0c")
    ingestion.tell("progress", rows=10, rejected=0, bytes=5, bytes_total=4, rate=1.5)
    status = served.client.get(url).json()
    assert status["status"] == "started"
    assert (status["bytes"], status["rows"], status["run_id"]) == (4, 10, "5f0c")

    ingestion.tell("failed", reason="The disk was full.")
    status = served.client.get(url).json()
    assert (status["status"], status["is_over"]) == ("failed", True)
    assert status["reason"] == "The disk was full."

    ingestion.tell("started", run_id="6a1d")
    ingestion.tell("stored", rows=11, rejected=2)
    ingestion.tell("published", table="trip_groups")
    ingestion.tell("succeeded", rows=11, rejected=2, is_known=False)
    status = served.client.get(url).json()
    assert (status["status"], status["is_over"], status["reason"]) == ("succeeded", True, None)
    assert (status["rows"], status["rejected"], status["tables"]) == (11, 2, ["trip_groups"])
    assert (status["name"], status["last_event"]) == ("a.csv", 9)


def test_the_latest_are_listed_page_by_page(served: Served) -> None:
    created = [served.create(f"{number}.csv") for number in range(5)][::-1]

    url, found = f"{served.address}/trips/ingestions?limit=2", []
    while url:
        page = served.client.get(url).json()
        found.append([ingestion["id"] for ingestion in page["ingestions"]])
        url = page["next"]

    ids = [ingestion.id for ingestion in created]
    assert found == [ids[:2], ids[2:4], ids[4:]]
    versioned = pages(served, "/v1/trips/ingestions", limit=2)
    assert [[each["id"] for each in page["items"]] for page in versioned] == found
