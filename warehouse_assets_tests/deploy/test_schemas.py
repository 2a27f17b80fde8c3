"""What is deployed is what Compose, Kubernetes and Dagster's launchers take (test-cluster)."""

import copy
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

import dagster as dg
import pytest

from warehouse_assets.orchestration.history import HOST_TAG, dead_runs_sensor
from warehouse_assets_tests.deploy import files

# They are not installed where types are checked.
_spec: Any = import_module("compose_spec")
_kubernetes: Any = import_module("kubernetes_validate")
_client: Any = import_module("kubernetes.client")
_launchers: Any = import_module("dagster_k8s")

_VERSIONS = ("1.32", "1.37")
_HARDENED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_DEPLOYED = ("dagsterWebserver", "dagsterDaemon")


def test_compose_is_as_the_compose_specification_says() -> None:
    read = _spec.PyCompose.from_yaml(files.dumped(files.compose()))
    assert set(read.service_names()) == {"postgres", "webserver", "daemon", "service"}

    mistaken = files.compose()
    mistaken["services"]["service"]["readonly"] = True
    with pytest.raises(ValueError, match="readonly"):
        _spec.PyCompose.from_yaml(files.dumped(mistaken))


def _objects() -> list[dict[str, Any]]:
    names = ("warehouse.yaml", "secrets.example.yaml")
    return [part for name in names for part in files.documents(files.KUBERNETES / name)]


def _hold(thing: dict[str, Any]) -> None:
    for version in _VERSIONS:
        _kubernetes.validate(thing, version, strict=True)


def test_manifests_are_as_kubernetes_says() -> None:
    for thing in _objects():
        _hold(thing)

    (deployment,) = (thing for thing in _objects() if thing["kind"] == "Deployment")
    mistaken = copy.deepcopy(deployment)
    mistaken["spec"]["template"]["spec"]["containers"][0]["readonlyRootFilesystem"] = True
    with pytest.raises(_kubernetes.ValidationError):
        _hold(mistaken)


def _pod(part: dict[str, Any]) -> dict[str, Any]:
    """A pod of what Dagster's chart is told of one, as its templates put it together."""
    probes = ("startupProbe", "readinessProbe", "livenessProbe")
    container = {
        "name": "dagster",
        "image": "{repository}:{tag}".format(**part["image"]),
        "imagePullPolicy": part["image"]["pullPolicy"],
        "securityContext": part["securityContext"],
        "resources": part["resources"],
        "volumeMounts": part["volumeMounts"],
        "envFrom": [
            *({"configMapRef": source} for source in part.get("envConfigMaps", [])),
            *({"secretRef": source} for source in part.get("envSecrets", [])),
        ],
        **{
            name: {key: value for key, value in part[name].items() if key != "enabled"}
            for name in probes
            if name in part
        },
    }
    spec = {
        "containers": [container],
        "volumes": part["volumes"],
        "securityContext": part["podSecurityContext"],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "dagster"}, "spec": spec}


# The launcher wants to know of a cluster; nothing here asks it anything.
_CLUSTER = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "here",
    "clusters": [{"name": "here", "cluster": {"server": "https://127.0.0.1:1"}}],
    "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
    "users": [{"name": "me", "user": {"token": "none"}}],
}


def _job(folder: Path, release: str = "warehouse") -> dict[str, Any]:
    """The job that Dagster's launcher makes of a run, configured as the chart does."""
    given = files.values()["runLauncher"]["config"]["k8sRunLauncher"]
    raw = given["runK8sConfig"]
    cluster = folder / "kubeconfig"
    cluster.write_text(files.dumped(_CLUSTER), encoding="utf-8")
    launcher = _launchers.K8sRunLauncher(
        service_account_name=f"{release}-dagster",
        instance_config_map=f"{release}-dagster-instance",
        postgres_password_secret=files.values()["global"]["postgresqlSecretName"],
        dagster_home=files.values()["global"]["dagsterHome"],
        load_incluster_config=False,
        kubeconfig_file=str(cluster),
        image_pull_policy=given["imagePullPolicy"],
        env_config_maps=[source["name"] for source in given["envConfigMaps"]],
        env_secrets=[source["name"] for source in given["envSecrets"]],
        volumes=given["volumes"],
        volume_mounts=given["volumeMounts"],
        resources=given["resources"],
        security_context=given["securityContext"],
        run_k8s_config={
            "pod_spec_config": raw["podSpecConfig"],
            "job_spec_config": raw["jobSpecConfig"],
        },
    )
    context = launcher.get_container_context_for_run(dg.DagsterRun("catch_up"))
    job = _launchers.construct_dagster_k8s_job(
        job_config=context.get_k8s_job_config("registry.example.com/w:1", launcher),
        args=["dagster", "api", "execute_run"],
        job_name="dagster-run-1",
        user_defined_k8s_config=context.run_k8s_config,
    )
    made: dict[str, Any] = _client.ApiClient().sanitize_for_serialization(job)
    return made


def _pods(folder: Path) -> dict[str, dict[str, Any]]:
    """The specification of every pod that there will be, by whose it is."""
    given = files.values()
    (code,) = given["dagster-user-deployments"]["deployments"]
    (service,) = (thing for thing in _objects() if thing["kind"] == "Deployment")
    return {
        "code": _pod(code)["spec"],
        **{name: _pod(given[name])["spec"] for name in _DEPLOYED},
        "run": _job(folder)["spec"]["template"]["spec"],
        "service": service["spec"]["template"]["spec"],
    }


def test_what_the_chart_is_told_makes_pods_and_jobs_that_kubernetes_takes(tmp_path: Path) -> None:
    given = files.values()
    (code,) = given["dagster-user-deployments"]["deployments"]
    for part in (code, *(given[name] for name in _DEPLOYED)):
        _hold(_pod(part))
    _hold(_job(tmp_path))


def test_every_pod_is_of_a_user_without_rights_and_writes_to_volumes_only(
    tmp_path: Path,
) -> None:
    for name, pod in _pods(tmp_path).items():
        (container,) = pod["containers"]
        assert container["securityContext"] == _HARDENED, name
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["runAsUser"] == 1000, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert "memory" in container["resources"]["limits"], name
        places = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert {"/tmp", "/data/tmp"} <= places, name
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes, name


def test_what_is_named_is_there(tmp_path: Path) -> None:
    kinds: dict[str, set[str]] = {}
    for thing in _objects():
        kinds.setdefault(thing["kind"], set()).add(thing["metadata"]["name"])
    # The chart makes it.
    kinds["ConfigMap"].add("warehouse-dagster-instance")
    for pod in _pods(tmp_path).values():
        (container,) = pod["containers"]
        for source in container["envFrom"]:
            for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                if key in source:
                    assert source[key]["name"] in kinds[kind]
        for variable in container.get("env", []):
            if "valueFrom" in variable:
                assert variable["valueFrom"]["secretKeyRef"]["name"] in kinds["Secret"]
        claims = [
            v["persistentVolumeClaim"]["claimName"]
            for v in pod["volumes"]
            if "persistentVolumeClaim" in v
        ]
        assert set(claims) <= kinds["PersistentVolumeClaim"]


class _Docker(BaseHTTPRequestHandler):
    """The two answers of Docker's interface that its watch over a run asks for."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.endswith("/version"):
            self._answer(200, b'{"ApiVersion": "1.44"}')
        elif path.endswith(("/containers/living/json", "/containers/exited/json")):
            status = b"running" if "living" in path else b"exited"
            self._answer(200, b'{"Id": "1", "State": {"Status": "%s"}}' % status)
        else:
            self._answer(404, b'{"message": "No such container"}')

    def _answer(self, code: int, content: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that knows a container that runs and one that has ended."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Docker)
    thread = Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def test_of_runs_in_containers_those_are_ended_whose_container_is_gone(
    docker: None, deployed: dg.DagsterInstance
) -> None:
    contained = {"dagster/image": "warehouse_assets"}
    runs = {
        name: deployed.add_run(
            dg.DagsterRun("catch_up", status=dg.DagsterRunStatus.STARTED, tags=tags)
        ).run_id
        for name, tags in {
            "living": {**contained, "docker/container_id": "living"},
            "exited": {**contained, "docker/container_id": "exited"},
            "gone": {**contained, "docker/container_id": "gone"},
            "of a command elsewhere": {HOST_TAG: "another"},
        }.items()
    }
    dead_runs_sensor(dg.build_sensor_context(instance=deployed))
    failed = deployed.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    assert {run.run_id for run in failed} == {runs["exited"], runs["gone"]}
