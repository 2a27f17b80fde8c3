"""Files of posts and votes as suppliers send them, taken by whole runs."""

import codecs
import gzip
import json

from warehouse_assets_tests.house import House, post, vote

ANSWERS = ("votes_per_post_per_week", "mean_votes_per_post_per_week", "outlier_weeks")
TABLES = ("posts", "votes", *ANSWERS)


def test_a_mixed_delivery_ends_as_rows_and_rejected_records(house: House) -> None:
    house.deliver("posts.json", codecs.BOM_UTF8 + json.dumps([post(1), post(2)], indent=1).encode())
    house.deliver("Votes-1.JSONL", b"\r\n".join([json.dumps(vote(1, 1)).encode(), b"", b"x", b""]))
    house.deliver("votes-2.json.gz", gzip.compress(json.dumps([vote(2, 2), None]).encode()))
    house.deliver("votes-3.json", json.dumps([vote(9, 9)])[:-9])
    house.deliver("empty.votes.json", "")
    house.deliver("unnamed.ndjson", [vote(3, 99), vote(4, 1, PostId="one")])
    house.deliver("votes.png.json", b"\x89PNG\r\n\x1a\n")
    house.deliver("table.csv", "Id,PostId")

    assert house.run("posts", "votes", "rejected_records", checks=False).success

    assert house.stored("posts", "id") == [(1,), (2,)]
    assert house.stored("votes", "id, post_id") == [(1, 1), (2, 2), (3, 99)]
    found = {(source, unit[9:], position) for source, unit, position, _, _ in house.rejected()}
    assert found == {
        ("votes", "Votes-1.JSONL", 3),
        ("votes", "votes-2.json.gz", 2),
        ("votes", "votes-3.json", 0),
        ("votes", "unnamed.ndjson", 2),
        ("votes", "votes.png.json", 1),
        ("votes", "votes.png.json", 2),
        ("unrecognised", "empty.votes.json", 0),
    }
    assert all(reason for *_, reason, _ in house.rejected())
    assert house.waiting() == ["table.csv"]
    published = {row[:3] for row in house.published("rejected_records")}
    assert published == {row[:3] for row in house.rejected()}


def test_answers_follow_what_comes_in_whatever_order(house: House) -> None:
    # Sunday 2022-01-09 in New York is Monday in UTC; Monday 2022-01-10 in Berlin is Sunday.
    # Saturday 2022-01-01 in Tokyo is still 2021 in UTC. A time without a zone stays as written.
    times = [
        "2022-01-09T22:00:00-05:00",
        "2022-01-10T00:30:00+01:00",
        "2022-01-01T08:00:00+09:00",
        "2022-01-09T23:59:59.999",
    ]
    house.deliver("votes.json", [vote(n, n, CreationDate=time) for n, time in enumerate(times)])
    assert house.run(*TABLES[1:], checks=False).success
    assert house.published("votes_per_post_per_week") == [
        (0, "2022-01-10", 1),
        (1, "2022-01-03", 1),
        (2, "2021-12-27", 1),
        (3, "2022-01-03", 1),
    ]
    assert [row[4:] for row in house.published("mean_votes_per_post_per_week")] == [(0, None)] * 3
    # Weeks of 1, 2 and 1 votes; the mean is 4/3.
    assert sorted(house.published("outlier_weeks")) == [(2021, 52, 1), (2022, 1, 2), (2022, 2, 1)]

    house.deliver("posts.json", [post(3)])  # after its vote
    house.deliver("newer.votes.json", [vote(2, 3), vote(0, 0, CreationDate=times[0])])
    assert house.run(*TABLES, checks=False).success

    assert house.published("votes_per_post_per_week") == [
        (0, "2022-01-10", 1),
        (1, "2022-01-03", 1),
        (3, "2022-01-03", 2),
    ]
    assert house.published("mean_votes_per_post_per_week") == [
        ("2022-01-03", 3, 2, 1.5, 1, 3.0),
        ("2022-01-10", 1, 1, 1.0, 1, 1.0),
    ]
    assert sorted(house.published("outlier_weeks")) == [(2022, 1, 3), (2022, 2, 1)]
