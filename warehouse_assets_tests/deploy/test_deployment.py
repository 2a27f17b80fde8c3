"""The deployment loads, passes settings on, holds no secret, and gives nobody more than needed."""

import os
import re
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from warehouse_assets.errors import SettingError, WarehouseError
from warehouse_assets.runs import history
from warehouse_assets.settings import SETTINGS, Settings
from warehouse_assets_tests.deploy import files
from warehouse_assets_tests.postgres import execute, server_url

_SETTINGS = {setting.variable for setting in SETTINGS}
# Folders and the address of the service are as the image and the volumes have them.
_OF_THE_IMAGE = {"WAREHOUSE_HOME", "INBOX", "ARCHIVE", "API_HOST", "API_PORT", "API_KEYS_FILE"}
# Of commands that a person starts beside the containers.
_OF_PEOPLE = {name for name in _SETTINGS if name.startswith("MCP_")}
# Nothing but the service asks for them.
_OF_THE_SERVICE = {
    "API_CONNECTIONS",
    "API_KEYS",
    "API_LOCK_TIMEOUT_SECONDS",
    "API_REQUESTS_PER_MINUTE",
    "API_STATEMENT_TIMEOUT_SECONDS",
    "CORS_ORIGINS",
    "UPLOAD_LIMIT",
    "WAREHOUSE_READ_URL",
    "WEBHOOK_HOSTS",
}
# Of other software: PostgreSQL's client, uvicorn, and dagster.yaml of `deploy/`.
_OTHERS = {
    "PGPASSWORD",
    "FORWARDED_ALLOW_IPS",
    "WAREHOUSE_IMAGE",
    "DAGSTER_PG_PASSWORD",
    "DAGSTER_POSTGRES_HOST",
    "DAGSTER_POSTGRES_USER",
    "DAGSTER_POSTGRES_DATABASE",
}
# Of object storage; empty they would be taken for values.
_AWS = {"AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
_OURS = ("daemon", "webserver", "service")
_SECRET = re.compile("PASSWORD|KEY|SECRET|TOKEN|password")


def test_the_deployed_home_keeps_dagsters_history_in_postgresql(
    deployed: dg.DagsterInstance,
) -> None:
    deployed.add_dynamic_partitions("days", ["monday"])
    assert deployed.get_dynamic_partitions("days") == ["monday"]
    url = server_url(os.environ["DAGSTER_POSTGRES_DATABASE"])
    assert execute(url, "SELECT count(*) FROM dynamic_partitions") == [(1,)]


def test_a_history_that_cannot_be_opened_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").write_text(files.dumped(files.dagster()), encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    settings = Settings.from_environment({"WAREHOUSE_HOME": str(tmp_path)})
    missing = r"dagster\.yaml \(setting DAGSTER_HOME\).*DAGSTER_POSTGRES_HOST"
    with pytest.raises(SettingError, match=missing) as told, history(settings):
        pass
    assert "Traceback" not in str(told.value)

    monkeypatch.setenv("DAGSTER_POSTGRES_HOST", "127.0.0.1")
    monkeypatch.setenv("DAGSTER_POSTGRES_USER", "nobody")
    monkeypatch.setenv("DAGSTER_POSTGRES_DATABASE", "none")
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "1")
    with (
        pytest.raises(WarehouseError, match=r"cannot be opened: .*127\.0\.0\.1"),
        history(settings),
    ):
        pass


def test_what_must_be_set_is_in_the_example_and_nothing_there_is_unknown() -> None:
    asked = files.references()
    required = {name for name, default in asked.items() if default is None}
    assert required == {
        "POSTGRES_PASSWORD",
        "WAREHOUSE_PASSWORD",
        "READER_PASSWORD",
        "API_KEYS",
        "DOCKER_GROUP",
    }
    example = (files.DEPLOY / "env.example").read_text("utf-8").splitlines()
    named = {line.partition("=")[0] for line in example if line and line[0] != "#"}
    assert required - named == set()
    assert named - set(asked) == set()
    assert all(os.access(path, os.X_OK) for path in (files.DEPLOY / "postgres").iterdir())


def test_every_setting_reaches_the_daemon_the_service_and_the_runs() -> None:
    services = files.compose()["services"]
    for_all = _SETTINGS - _OF_THE_IMAGE - _OF_PEOPLE - _OF_THE_SERVICE
    daemon = set(services["daemon"]["environment"])
    assert for_all - daemon == set(), "name it in compose.yaml and dagster.yaml of deploy/"
    service = set(services["service"]["environment"])
    assert _SETTINGS - _OF_THE_IMAGE - _OF_PEOPLE - service == set()
    # A run gets what the daemon has; what it does not have would stop it.
    runs = set(files.dagster()["run_launcher"]["config"]["env_vars"])
    assert runs == daemon - {"WAREHOUSE_IMAGE"} - _AWS


def _variables_of_pods() -> set[str]:
    """Those that Kubernetes is told to set."""
    found: set[str] = set()
    for document in [
        *files.documents(files.KUBERNETES / "warehouse.yaml"),
        *files.documents(files.KUBERNETES / "secrets.example.yaml"),
    ]:
        if document["kind"] in {"ConfigMap", "Secret"}:
            found |= set(document.get("data") or document["stringData"])
        if document["kind"] == "Deployment":
            (container,) = document["spec"]["template"]["spec"]["containers"]
            found |= {variable["name"] for variable in container["env"]}
    return found - {"postgresql-password"}


def test_every_variable_is_one_that_somebody_reads() -> None:
    services = files.compose()["services"]
    given = {name for part in _OURS for name in services[part]["environment"]}
    image = (files.DEPLOY / "Dockerfile").read_text("utf-8").partition("\nENV ")[2]
    given |= set(re.findall(r"^\s*(\w+)=", image, re.MULTILINE)) | {"WAREHOUSE_HOME"}
    known = _SETTINGS | _OTHERS | _AWS | {"DAGSTER_HOME", "TMPDIR", "PYTHONUNBUFFERED"}
    assert given - known == set()
    assert "WAREHOUSE_READ_URL" in _variables_of_pods()
    assert _variables_of_pods() - known == set()


def test_no_file_holds_a_secret() -> None:
    services = files.compose()["services"]
    for part in services.values():
        for name, value in part["environment"].items():
            if _SECRET.search(name):
                # Unset, it is passed on as it is outside.
                assert value is None or value.startswith("given-"), name
        assert all(part["environment"].get(name) is None for name in _AWS)
    (_, *_), secrets = (
        files.documents(files.KUBERNETES / name)
        for name in ("warehouse.yaml", "secrets.example.yaml")
    )
    assert {text for secret in secrets for text in secret["stringData"].values()} == {""}
    for path in files.KUBERNETES.iterdir():
        # An address with a password in it.
        assert re.findall(r"^[^#\n]*://\w+:", path.read_text("utf-8"), re.MULTILINE) == [], path


def _limits(container: dict[str, Any]) -> dict[str, Any]:
    names = ("read_only", "init", "cap_drop", "security_opt", "pids_limit")
    return {name: container[name] for name in names}


def test_containers_write_to_volumes_only_and_are_bounded() -> None:
    services = files.compose()["services"]
    run = files.dagster()["run_launcher"]["config"]["container_kwargs"]
    for name in _OURS:
        assert _limits(services[name]) == _limits(run), name
    for name, service in services.items():
        assert service["read_only"], name
        assert {"healthcheck", "mem_limit", "cpus", "pids_limit", "restart"} <= set(service), name
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        # Beyond this machine nobody gets there without a proxy.
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
    assert "/var/run/docker.sock" not in files.dumped(services["service"])


def test_each_container_counts_its_own_processes_and_has_its_own_folder_for_what_they_spill() -> (
    None
):
    deployed = files.compose()
    folders = [
        volume
        for name in _OURS
        for volume in deployed["services"][name]["volumes"]
        if volume.endswith(":/data/tmp")
    ]
    assert len(set(folders)) == 3
    launcher = files.dagster()["run_launcher"]["config"]
    # A volume without a name is of one container, and goes with it.
    data = deployed["volumes"]["data"]["name"]
    assert launcher["container_kwargs"]["volumes"] == [f"{data}:/data", "/data/tmp"]
    assert launcher["container_kwargs"]["auto_remove"]
    assert launcher["network"] == deployed["networks"]["default"]["name"]
    # A container that shares the processes of another does not come back when that one dies.
    assert not any("pid" in service for service in deployed["services"].values())


def test_the_chart_keeps_ticks_as_long_and_leaves_runs_to_the_sensor_as_compose_does() -> None:
    home, chart = files.dagster(), files.values()
    retention = chart["retention"]
    assert retention.pop("enabled")
    assert {
        {"autoMaterialize": "auto_materialize"}.get(name, name): kept["purgeAfterDays"]
        for name, kept in retention.items()
    } == {name: kept["purge_after_days"] for name, kept in home["retention"].items()}
    assert not home["run_monitoring"]["enabled"]
    assert not chart["dagsterDaemon"]["runMonitoring"]["enabled"]
