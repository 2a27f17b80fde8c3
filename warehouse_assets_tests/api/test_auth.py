import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from warehouse_assets.api.app import build_app
from warehouse_assets.api.auth import Keys, RequestLimit, add_key, hash_of
from warehouse_assets.cli.service import api_key
from warehouse_assets.errors import SettingError
from warehouse_assets_tests.api.serving import (
    COLUMNS,
    ROW,
    NoRuns,
    Served,
    assert_is_problem,
    eventually,
    serving,
    settings_of,
)


def made_key(home: Path, *options: str) -> str:
    result = CliRunner().invoke(api_key, options, env={"WAREHOUSE_HOME": str(home)})
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[Served, str]]:
    """A service that wants a key, and the key."""
    key = made_key(tmp_path, "--name", "tests")
    with serving(settings_of(tmp_path)) as served:
        yield served, key


def status(served: Served, path: str = "/answers", **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return served.client.get(served.address + path, headers=named).status_code


def test_every_route_but_health_wants_a_key(guarded: tuple[Served, str]) -> None:
    served, key = guarded
    described = served.client.get(f"{served.address}/openapi.json", headers={"X-API-Key": key})
    for path, methods in described.json()["paths"].items():
        for method in () if path.startswith("/health/") else methods:
            response = served.client.request(method, served.address + path.replace("{", "x"))
            assert_is_problem(response, 401)
            assert 'Bearer realm="warehouse"' in response.headers["WWW-Authenticate"]
    for path in ("/openapi.json", "/static/page.js", "/nothing"):
        assert status(served, path) == 401
    assert status(served, "/health/live") == 200
    assert status(served, "/health/ready") == 503  # there is no warehouse yet


def test_a_key_is_taken_from_either_header_and_only_its_name_logged(
    guarded: tuple[Served, str], caplog: pytest.LogCaptureFixture
) -> None:
    served, key = guarded
    with caplog.at_level("INFO", "warehouse_assets.api.access"):
        assert status(served, Authorization=f"Bearer {key}") == 200
        assert status(served, Authorization=f"bearer  {key}") == 200
        assert status(served, X_API_Key=key) == 200
        eventually(lambda: '"key": "tests"' in caplog.text)
    assert key not in caplog.text
    assert hash_of(key) not in caplog.text
    for wrong in (key[:-1], key + "x", hash_of(key), "", "\u00fc"):
        sent = wrong.encode().decode("latin-1")
        assert status(served, X_API_Key=sent) == 401
        assert status(served, Authorization=f"Bearer {sent}") == 401
    assert status(served, Authorization=f"Basic {key}") == 401


def test_a_browser_is_asked_for_the_key_as_a_password(guarded: tuple[Served, str]) -> None:
    served, key = guarded
    asked = served.client.get(served.address, headers={"Accept": "text/html,*/*;q=0.8"})
    assert asked.status_code == 401
    assert asked.headers["WWW-Authenticate"].startswith('Basic realm="warehouse"')

    def answered(user: str, password: str) -> int:
        return served.client.get(served.address, auth=(user, password)).status_code

    assert [answered("", key), answered("ann", key)] == [200, 200]
    assert [answered(key, ""), answered("ann", "wrong"), answered(key, key + "x")] == [401] * 3
    assert status(served, Authorization="Basic =") == 401


def test_the_file_may_change_while_the_service_runs(tmp_path: Path) -> None:
    first = made_key(tmp_path)
    with serving(settings_of(tmp_path)) as served:
        second = made_key(tmp_path)
        eventually(lambda: status(served, X_API_Key=second) == 200)
        path = served.service.settings.api_keys_file
        path.write_text(f"# the first is gone\n\n{hash_of(second).upper()}  # second\n", "utf-8")
        eventually(lambda: status(served, X_API_Key=first) == 401)
        assert status(served, X_API_Key=second) == 200
        path.write_text("no hash\n", "utf-8")  # those known before stay
        path.unlink()
        eventually(lambda: status(served, X_API_Key=second) == 401)
        assert status(served) == 401  # and nobody else gets in


def test_the_command_keeps_only_a_hash_in_a_file_of_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "api_keys"
    for name in ("a\nb", "a#b"):
        environment = {"WAREHOUSE_HOME": str(tmp_path)}
        assert CliRunner().invoke(api_key, ["--name", name], env=environment).exit_code == 2
        assert not path.exists()
    made = [made_key(tmp_path, "--name", "Ann's laptop"), made_key(tmp_path)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text("utf-8") == f"{hash_of(made[0])} # Ann's laptop\n{hash_of(made[1])}\n"
    assert len(set(made)) == 2
    assert all(len(key) >= 40 for key in made)
    path.write_text(hash_of("a"), "utf-8")  # a line that was not ended
    key = add_key(path)
    assert path.read_text("utf-8").split() == [hash_of("a"), hash_of(key)]


def test_a_file_that_is_none_of_hashes_or_not_there_is_said(tmp_path: Path) -> None:
    path = tmp_path / "api_keys"
    path.write_text(f"{hash_of('a')}\nsecret\n", "utf-8")
    with pytest.raises(SettingError, match=r"Line 2 of .*api_keys.*API_KEYS_FILE"):
        Keys(settings_of(tmp_path))
    with pytest.raises(SettingError, match="Line 2"):
        add_key(path)
    settings = settings_of(tmp_path, API_KEYS_FILE=str(tmp_path / "nothing"))
    with pytest.raises(SettingError, match="API_KEYS_FILE"):
        build_app(settings, NoRuns())


def test_a_client_has_its_requests_at_once_then_so_many_a_minute_and_waits_for_no_other() -> None:
    now = 1000.0
    limit = RequestLimit(6, lambda: now)
    assert [limit.seconds_to_wait("a") for _ in range(7)] == [0] * 6 + [10]
    for seconds, waits in [(4, [6]), (6, [0, 10]), (3600, [0] * 6 + [10])]:
        now += seconds
        assert [limit.seconds_to_wait("a") for _ in waits] == pytest.approx(waits)
    few = RequestLimit(1, lambda: now, most_clients=2)  # those of longest ago are forgotten
    assert [few.seconds_to_wait(client) for client in "abac"] == [0, 0, 60, 0]
    assert [few.seconds_to_wait(client) for client in "cab"] == [60, 60, 0]
    none = RequestLimit(0, lambda: now)
    assert {none.seconds_to_wait("a") for _ in range(1000)} == {0}


def test_keys_come_from_the_setting_too_and_each_has_a_limit_of_its_own(tmp_path: Path) -> None:
    keys = {"API_KEYS": f"{hash_of('one')},{hash_of('two')}"}
    with serving(settings_of(tmp_path, API_REQUESTS_PER_MINUTE="2", **keys)) as served:
        asked = {
            key: [status(served, X_API_Key=key) for _ in range(3)] for key in ("one", "two", "x")
        }
        assert asked == {"one": [200, 200, 429], "two": [200, 200, 429], "x": [401, 401, 429]}
        told = served.client.get(f"{served.address}/answers", headers={"X-API-Key": "one"})
        assert 1 <= int(told.headers["Retry-After"]) <= 31
        assert_is_problem(told, 429, "API_REQUESTS_PER_MINUTE")
        assert status(served, "/health/live") == 200


def test_pages_of_other_sites_may_not_send_files(served: Served) -> None:
    for origin in ("http://example.com", "null", "http://127.0.0.1:1"):
        assert served.send(b"x,y", headers={"Origin": origin}).status_code == 403
    assert served.inbox == []
    served.ingestion(served.send(b"x,y", headers={"Origin": served.address}))
    served.ingestion(served.send(b"x,y", headers={"Origin": "http://127.0.0.1:8642"}))  # API_URL


def test_only_a_service_of_this_machine_alone_has_to_be_called_by_its_names(
    served: Served, tmp_path: Path
) -> None:
    url = f"{served.address}/trips/ingestions"
    rebound = served.client.get(url, headers={"Host": "rebound.example.com"})
    assert_is_problem(rebound, 400, "API_URL")
    assert served.client.get(url, headers={"Host": "localhost:1234"}).status_code == 200
    with serving(settings_of(tmp_path / "open", API_HOST="0.0.0.0")) as everywhere:
        assert status(everywhere, Host="warehouse.example") == 200


_PAGE = "https://app.example.com"


def _asked_by_a_page(served: Served, origin: str) -> tuple[str | None, str | None, int]:
    """Of a page's script: who may read, who may send with a key; and how sending ends."""
    url = f"{served.address}/v1/trips/ingestions"
    wishes = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-api-key,content-type",
    }
    before = served.client.options(url, headers=wishes)
    sent = served.client.post(url, data=COLUMNS + ROW, headers={"Origin": origin})
    name = "Access-Control-Allow-Origin"
    return sent.headers.get(name), before.headers.get(name), sent.status_code


def test_pages_of_other_sites_may_not_ask_unless_the_setting_names_them(tmp_path: Path) -> None:
    for setting, named, others in [
        ("", (None, None, 403), (None, None, 403)),
        (f"https://b.example, {_PAGE.upper()}", (_PAGE, _PAGE, 202), (None, None, 403)),
        ("*", ("*", "*", 202), ("*", "*", 202)),
    ]:
        with serving(settings_of(tmp_path, CORS_ORIGINS=setting)) as served:
            assert _asked_by_a_page(served, _PAGE) == named
            assert _asked_by_a_page(served, "https://evil.example") == others


def test_a_page_that_may_ask_reads_headers_but_sends_no_cookies(tmp_path: Path) -> None:
    key = made_key(tmp_path)
    with serving(settings_of(tmp_path, CORS_ORIGINS=_PAGE)) as served:
        without = served.client.get(f"{served.address}/v1/answers", headers={"Origin": _PAGE})
        assert without.status_code == 401
        assert without.headers["Access-Control-Allow-Origin"] == _PAGE
        head = {"Origin": _PAGE, "X-API-Key": key}
        answer = served.client.get(f"{served.address}/v1/answers", headers=head)
        assert answer.status_code == 200
        assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in answer.headers
