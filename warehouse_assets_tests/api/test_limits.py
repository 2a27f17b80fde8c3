from pathlib import Path

import pytest

from warehouse_assets.api.auth import RequestLimit, hash_of
from warehouse_assets_tests.api.serving import assert_is_problem, serving, settings_of


class Clock:
    """A time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_client_may_make_so_many_requests_at_once_and_then_so_many_a_minute() -> None:
    clock = Clock()
    limit = RequestLimit(6, clock)
    assert [limit.seconds_to_wait("a") for _ in range(7)] == [0] * 6 + [10]
    clock.now += 4
    assert limit.seconds_to_wait("a") == pytest.approx(6)
    clock.now += 6
    assert [limit.seconds_to_wait("a") for _ in range(2)] == [0, 10]
    clock.now += 3600
    assert [limit.seconds_to_wait("a") for _ in range(7)] == [0] * 6 + [10]


def test_clients_do_not_wait_for_one_another_and_those_of_long_ago_are_forgotten() -> None:
    limit = RequestLimit(1, Clock(), most_clients=2)
    assert [limit.seconds_to_wait(client) for client in "abac"] == [0, 0, 60, 0]
    assert [limit.seconds_to_wait(client) for client in "cab"] == [60, 60, 0]


def test_no_limit_is_none() -> None:
    limit = RequestLimit(0, Clock())
    assert {limit.seconds_to_wait("a") for _ in range(1000)} == {0}


def test_who_asks_too_often_is_told_when_to_go_on(tmp_path: Path) -> None:
    with serving(settings_of(tmp_path, API_REQUESTS_PER_MINUTE="3")) as served:
        answers = [served.client.get(f"{served.address}/answers") for _ in range(4)]
        assert [found.status_code for found in answers] == [200, 200, 200, 429]
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 21
        assert_is_problem(answers[-1], 429, "API_REQUESTS_PER_MINUTE")
        assert served.client.get(f"{served.address}/health/live").status_code == 200


def test_each_key_has_a_limit_of_its_own_and_guessing_has_one(tmp_path: Path) -> None:
    keys = {"API_KEYS": f"{hash_of('one')},{hash_of('two')}"}
    with serving(settings_of(tmp_path, API_REQUESTS_PER_MINUTE="2", **keys)) as served:

        def statuses(key: str) -> list[int]:
            headers = {"X-API-Key": key}
            url = f"{served.address}/answers"
            return [served.client.get(url, headers=headers).status_code for _ in range(3)]

        assert statuses("one") == [200, 200, 429]
        assert statuses("two") == [200, 200, 429]
        assert statuses("guess") == [401, 401, 429]
