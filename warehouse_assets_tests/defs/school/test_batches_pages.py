"""Paging through batches: complete whatever the server is like, or an error that says so."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warehouse_assets.defs.school.batches import (
    Ask,
    DisorderError,
    Page,
    StalledError,
    later_pages,
)
from warehouse_assets_tests.defs.school.batch_server import (
    DAY,
    SECOND,
    BatchServer,
    batch,
    created,
)

NOW = DAY + timedelta(days=30)
PRECISIONS = ["second", "exact", "inclusive"]


def read(server: BatchServer, after: datetime | None = None) -> tuple[list[int], bool]:
    """The numbers of the batches that pages hold, in order, and whether the server stalled."""
    numbers: dict[int, None] = {}
    try:
        for page in later_pages(server.ask, after, NOW):
            numbers.update({b["id"]: None for b in page if isinstance(b, dict)})
    except StalledError:
        return list(numbers), True
    return list(numbers), False


def always(page: Page) -> Ask:
    """A server that answers the same to everything."""
    return lambda _: page


moments = st.tuples(
    st.integers(0, 4), st.sampled_from([0, 1, 999, 462_000, 463_000, 463_573, 999_999])
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    at_first=st.lists(moments, max_size=14),
    arriving=st.lists(st.lists(moments, max_size=3), max_size=6),
    page_size=st.integers(1, 8),
    precision=st.sampled_from(PRECISIONS),
)
def test_any_batches_end_up_complete_or_in_an_error(
    at_first: Sequence[tuple[int, int]],
    arriving: Sequence[Sequence[tuple[int, int]]],
    page_size: int,
    precision: str,
) -> None:
    groups = [sorted(at_first), *map(sorted, arriving)]
    # What arrives is not older than what is there.
    latest, number = (0, 0), 0
    made: list[list[dict[str, Any]]] = []
    for group in groups:
        made.append([])
        for moment in group:
            latest = max(latest, moment)
            number += 1
            made[-1].append(batch(number, latest[0] + latest[1] / 10**6))
    server = BatchServer(made[0], page_size, precision, list(made[1:]))

    taken: set[int] = set()
    has_stalled = False
    for _ in range(len(arriving) + 2):
        known = [created(b) for b in server.batches if b["id"] in taken]
        numbers, has_stalled = read(server, max(known) - SECOND if known else None)
        taken |= set(numbers)
        if has_stalled:
            break
    there = [created(b) for b in server.batches]
    if has_stalled:
        assert not server.fits(max(created(b) for b in server.batches if b["id"] in taken))
    elif taken != set(range(1, number + 1)):
        # Nobody can tell: all that there is was made in one second, and pages may have any length.
        assert max(there) - min(there) < SECOND
        assert len(there) > page_size


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("page_size", [3, 50, 100])
def test_all_pages_are_read(precision: str, page_size: int) -> None:
    server = BatchServer([batch(n) for n in range(250)], page_size, precision)
    assert read(server) == (list(range(250)), False)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_without_news_few_answers_are_needed(precision: str) -> None:
    server = BatchServer([batch(n, n * 10) for n in range(500)], 100, precision)
    assert read(server, created(batch(4990)) - SECOND) == ([499], False)
    assert server.asked <= 4


@pytest.mark.parametrize("page_size", [5, 50, 100])
@pytest.mark.parametrize("others", [0, 1, 300])
@pytest.mark.parametrize("later", [[], [batch(2000, 5)]])
def test_a_second_that_is_longer_than_a_page_is_an_error(
    page_size: int, others: int, later: list[dict[str, Any]]
) -> None:
    before = [batch(n, -n) for n in range(others, 0, -1)]
    crowd = [batch(1000 + n, n / 1000) for n in range(120)]
    server = BatchServer([*before, *crowd, *later], page_size)
    numbers, has_stalled = read(server)
    # Of a short page that is all there is nobody can tell that it is not.
    assert has_stalled or (page_size < 100 and not before and not later)
    assert set(numbers) >= {b["id"] for b in before}
    assert read(server, DAY - SECOND)[1] or not has_stalled
    assert not read(BatchServer([*before, *crowd[: page_size - 1], *later], page_size))[1]


def test_a_server_that_disregards_the_time_is_an_error_once_there_is_more() -> None:
    batches = [batch(n) for n in range(300)]
    assert list(later_pages(always(batches[:99]), None, NOW)) == [batches[:99]] * 2
    given: list[Page] = []
    with pytest.raises(DisorderError, match="gives earlier ones"):
        given.extend(later_pages(always(batches[:100]), None, NOW))
    # They may be the latest: going on from there would leave the others out.
    assert given == []


def test_batches_made_all_at_once_are_no_error() -> None:
    assert read(BatchServer([batch(n, 0) for n in range(99)])) == (list(range(99)), False)
    assert read(BatchServer([])) == ([], False)


def test_times_in_the_future_hide_nothing() -> None:
    wrong = [batch(n, 10**9 + n) for n in range(900, 1150)]
    server = BatchServer([*(batch(n) for n in range(150)), *wrong], 100)
    assert read(server) == ([*range(150), *range(900, 1150)], False)
    assert set(read(server, DAY + 148 * SECOND)[0]) == {148, 149, *range(900, 1150)}
    mixed = [batch(n) for n in range(150)]
    mixed.insert(20, wrong[0])

    def by_number(after: datetime | None) -> list[dict[str, Any]]:
        return [b for b in mixed if after is None or created(b) >= after][:100]

    pages = list(later_pages(by_number, None, NOW))
    assert {b["id"] for page in pages for b in page if isinstance(b, dict)} == {900, *range(150)}


def newest_first(batches: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(batches, key=created, reverse=True)


def mixed(batches: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(batches, key=lambda b: b["id"] * 7919 % 251)


def exact(batches: Sequence[dict[str, Any]], order: Any = list, page_size: int = 100) -> Ask:
    """A server that gives what is later than a time in some order."""
    return lambda after: order([b for b in batches if after is None or created(b) > after])[
        :page_size
    ]


@pytest.mark.parametrize("page_size", [20, 50, 100])
@pytest.mark.parametrize("order", [newest_first, mixed])
def test_pages_of_another_order_are_an_error_and_not_given(order: Any, page_size: int) -> None:
    ask = exact([batch(n) for n in range(250)], order, page_size)
    given: list[Page] = []
    with pytest.raises(DisorderError, match=f"answer of {page_size} leaves out") as raised:
        given.extend(later_pages(ask, None, NOW))
    assert given == []
    assert "the oldest first" in raised.value.remedy


def test_an_order_that_is_lost_on_the_way_is_an_error() -> None:
    server = BatchServer([batch(n) for n in range(400)])

    def ask(after: datetime | None) -> list[dict[str, Any]]:
        page = server.ask(after)
        return page[::-1] if after and after > created(batch(150)) else page

    given: list[Page] = []
    with pytest.raises(DisorderError):
        given.extend(later_pages(ask, None, NOW))
    # What is older than the latest of these is there.
    assert given == [[batch(n) for n in range(100)]]


@pytest.mark.parametrize(
    "batches",
    [
        newest_first([batch(n) for n in range(9)]),
        mixed([batch(n) for n in range(9)]),
        [*(batch(n) for n in range(100)), *mixed([batch(n) for n in range(100, 160)])],
    ],
)
def test_a_page_that_cannot_be_full_may_be_in_any_order(batches: list[dict[str, Any]]) -> None:
    pages = list(later_pages(exact(batches), None, NOW))
    found = {b["id"] for page in pages for b in page if isinstance(b, dict)}
    assert found == set(range(len(batches)))


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20 13:51:54.463573",
        "2026-11-20T13:51:54.463573Z",
        "2026-11-20 14:51:54.463573+01",
        "2026-11-20T09:21:54.463573999-0430",
        " 2026-11-20T13:51:54.463573+00:00 ",
    ],
)
def test_times_are_understood_in_many_forms(text: str) -> None:
    asked: list[datetime | None] = []

    def ask(after: datetime | None) -> list[Any]:
        asked.append(after)
        return [{"created_at": text}, {"created_at": "2020-01-01"}, 5, {"created_at": 7}]

    list(later_pages(ask, None, NOW))
    assert asked[1] == DAY.replace(microsecond=463573)


@pytest.mark.parametrize("text", ["9999-12-31 23:59:59.9", "0001-01-01 00:00:00", "2026-99-99"])
def test_times_at_the_end_of_the_calendar_break_nothing(text: str) -> None:
    page = [{"id": 1, "created_at": text}]
    assert page in list(later_pages(always(page), None, NOW))


def test_full_pages_without_times_are_an_error() -> None:
    page = [{"id": n} for n in range(100)]
    with pytest.raises(StalledError, match="none of them says when"):
        list(later_pages(always(page), None, NOW))
    assert list(later_pages(always(page[:99]), None, NOW)) == [page[:99]]
