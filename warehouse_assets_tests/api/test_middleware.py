"""What is kept in memory, how much of it and for how long; headers; and requests for them alone."""

from warehouse_assets.api.middleware import Cache, Kept, Key
from warehouse_assets.warehouse import PublishedVersion
from warehouse_assets_tests.api.serving import Served

_OLD = PublishedVersion("trips", "lake", 1)
_NEW = PublishedVersion("trips", "lake", 2)
_OTHER = PublishedVersion("votes", "lake", 7)


def key(number: int) -> Key:
    return (b"/answers/%d" % number, b"", ("json", "csv"))


def answer(size: int, *versions: PublishedVersion) -> Kept:
    return Kept(versions or (_OLD,), "/answers/{name}", ((b"etag", b'W/"1"'),), b"x" * size)


def test_an_answer_holds_while_all_its_tables_stay() -> None:
    for published, is_of_one, is_of_both in [
        ([_OLD], True, False),
        ([_OLD, _OTHER], True, True),
        ([_NEW, _OTHER], False, False),
        ([], False, False),
    ]:
        versions = {version.table: version for version in published}
        assert answer(1).is_of(versions) is is_of_one
        assert answer(1, _OLD, _OTHER).is_of(versions) is is_of_both


def test_those_asked_for_longest_ago_go_first() -> None:
    cache = Cache(most_bytes=50_000)  # an answer of 1,500 bytes takes some 2,500
    for number in range(19):
        cache.put(key(number), answer(1500))
    assert cache.get(key(0)) is not None  # the one that has waited longest is now the next
    for number in range(19, 22):
        cache.put(key(number), answer(1500))
    assert cache.get(key(0)) is not None
    assert cache.get(key(1)) is None
    assert cache.get(key(21)) is not None


def test_a_large_answer_is_not_kept_and_drives_nothing_out() -> None:
    cache = Cache(most_bytes=50_000)
    cache.put(key(1), answer(100))
    cache.put(key(2), answer(40_000))
    assert cache.get(key(2)) is None
    assert cache.get(key(1)) is not None


def test_a_newer_answer_takes_the_place_of_the_old_one() -> None:
    cache = Cache(most_bytes=50_000)
    for _ in range(100):  # were they counted anew each time, nothing would be left
        cache.put(key(1), answer(1500))
    cache.put(key(1), answer(1500, _NEW))
    found = cache.get(key(1))
    assert found is not None
    assert list(found.versions) == [_NEW]


def test_head_is_answered_as_get_is_but_without_the_body(served: Served) -> None:
    for path in ("/answers", "/", "/health/live", "/product/B1", "/nothing"):
        get = served.client.get(served.address + path)
        head = served.client.head(served.address + path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        same = ("Content-Type", "Content-Length", "Vary")
        assert [head.headers.get(name) for name in same] == [get.headers.get(name) for name in same]
    events = f"{served.address}/trips/ingestions/{served.create().id}/events"
    assert served.client.head(events).status_code == 405


def test_browsers_are_told_to_load_nothing_from_elsewhere(shared: Served) -> None:
    for path in ("/", "/static/page.js", "/trips/ingestions", "/nothing"):
        headers = shared.client.get(shared.address + path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert headers["X-Content-Type-Options"] == "nosniff"
