"""What is kept in memory, how much of it and for how long; headers; and requests for them alone."""

import pytest

from warehouse_assets.api.middleware import Cache, Kept, Key
from warehouse_assets.warehouse import PublishedVersion
from warehouse_assets_tests.api.serving import COLUMNS, ROW, Served, assert_is_problem

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


def test_head_of_a_stream_gives_its_headers_and_ends(served: Served) -> None:
    events = f"{served.address}/trips/ingestions/{served.create().id}/events"
    with served.client.get(events, stream=True) as get:
        for _ in range(2):  # by one connection, which would wait for the end
            head = served.client.head(events, timeout=10)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["Content-Type"] == get.headers["Content-Type"]


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_each_address_tells_its_methods(shared: Served, prefix: str) -> None:
    described = shared.client.get(f"{shared.address}/openapi.json").json()["paths"]
    methods = {path: {method.upper() for method in found} for path, found in described.items()}
    others = ("/static/page.js", "/docs", "/docs/files/swagger-ui.css", "/product/a%2Fb/reviews")
    methods |= {path: {"GET"} for path in others}
    assert methods["/trips/ingestions"] == {"GET", "POST"}
    for path, found in methods.items():
        allowed = ", ".join(sorted({*found, "OPTIONS", *(["HEAD"] if "GET" in found else [])}))
        url = f"{shared.address}{prefix}{path.replace('{', '').replace('}', '')}"
        options = shared.client.options(url)
        assert (options.status_code, options.headers["Allow"]) == (204, allowed), path
        refused = shared.client.delete(url)
        assert_is_problem(refused, 405, "DELETE", allowed)
        assert refused.headers["Allow"] == allowed
    assert_is_problem(shared.client.options(f"{shared.address}{prefix}/nothing"), 404)


def test_what_is_asked_with_a_version_leads_on_with_it(served: Served) -> None:
    for prefix in ("", "/v1"):
        address = served.address + prefix
        sent = served.client.post(f"{address}/trips/ingestions", data=COLUMNS + ROW).json()
        assert sent["status_url"].startswith(f"{address}/trips/ingestions/2")
        assert served.client.get(sent["status_url"]).json()["id"] == sent["id"]
        assert served.client.get(f"{address}/static/page.js").status_code == 200
        assert served.client.get(f"{address}/health/live").json() == {"status": "live"}
    assert served.client.get(f"{served.address}/v1").history
    assert_is_problem(served.client.get(f"{served.address}/v1answers"), 404)
    assert_is_problem(served.client.get(f"{served.address}/v1/v1/answers"), 404)
    told = served.client.get(f"{served.address}/metrics").text
    assert 'route="/health/live"' in told
    assert "/v1" not in told


def test_browsers_are_told_to_load_nothing_from_elsewhere(shared: Served) -> None:
    for path in ("/", "/static/page.js", "/trips/ingestions", "/nothing"):
        headers = shared.client.get(shared.address + path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert headers["X-Content-Type-Options"] == "nosniff"
