"""A lake in a bucket holds what one in a folder holds, whatever processes and requests meet."""

import random
import signal
from collections.abc import Callable
from itertools import count, islice
from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets.errors import LakeError
from warehouse_assets.lake import Lake
from warehouse_assets.lake.table import names_of
from warehouse_assets_tests.cluster.everything import ALL, everything
from warehouse_assets_tests.cluster.machines import Machine, dying, maintain_all, run
from warehouse_assets_tests.cluster.sources import ROUNDS, Sources
from warehouse_assets_tests.house import House
from warehouse_assets_tests.integration.state import state_of
from warehouse_assets_tests.lake.tables import Stored
from warehouse_assets_tests.lake.test_weeks import BY_DAY, STAYS
from warehouse_assets_tests.object_store import Bucket, Fault, Proxy, is_commit
from warehouse_assets_tests.sail import Sail
from warehouse_assets_tests.stress import tasks
from warehouse_assets_tests.stress.deliveries import Supplier
from warehouse_assets_tests.stress.points import OF_A_RUN, OF_MAINTENANCE

pytestmark = pytest.mark.own_duckdb

_TABLES = tuple(str(table.name) for table in tasks.UNDER_FIRE)
_AT_A_REQUEST = "at a request"


def test_all_tables_that_an_engine_computes_are_those_of_a_folder(
    tmp_path: Path, instance: dg.DagsterInstance, bucket: Bucket, sail: Sail
) -> None:
    sources = Sources(tmp_path)
    here = House(tmp_path / "here", instance, **sources.environment)
    there = House(
        tmp_path / "there",
        instance,
        LAKE_URI=bucket.uri,
        ENGINE_URL=sail.url,
        **sources.environment,
    )
    for number in (1, ROUNDS):
        sources.grow(number)
        for house in (here, there):
            sources.deliver(number, house.settings.inbox)
            done = house.run(*ALL, checks=False)
            assert done.success
        (groups,) = done.asset_materializations_for_node("trip_groups")
        assert str(groups.metadata["computed_by"].value).startswith("Spark Connect")
        assert everything(there) == everything(here)
    assert not (there.settings.home / "lake").exists()
    assert there.published("trip_groups") == here.published("trip_groups")
    assert not [name for name in bucket.names() if "computing-" in name]


def test_files_greater_than_what_is_read_at_once_are_read_whole(
    tmp_path: Path, bucket: Bucket
) -> None:
    file = f"{bucket.uri}/great.parquet"
    summed = "SELECT count(*), sum(id), bit_xor(noise) FROM"
    made = "(SELECT range AS id, hash(range) AS noise FROM range(3000000))"
    with Lake(bucket.uri, tmp_path, 10**9).connect() as connection:
        connection.execute(f"COPY {made} TO ? (FORMAT parquet)", [file])
        read = connection.execute(f"{summed} read_parquet(?)", [file]).fetchall()
        assert read == connection.execute(f"{summed} {made}").fetchall()


def test_a_file_that_is_gone_is_told_of_before_anything_is_computed(
    tmp_path: Path, bucket: Bucket
) -> None:
    stays = Stored(Lake(bucket.uri, tmp_path, 10**9, is_by_week=True), STAYS)
    stays.append(BY_DAY)
    with stays.lake.connect() as connection:
        stays.table.check_readable(connection, stays.table.open())
        (gone,) = (name for name in names_of(stays.table.open()) if "2024-01-08" in name)
        (stays.table.path / gone).unlink()
        with pytest.raises(LakeError, match=f"stays cannot be read: .*{gone} is not there"):
            stays.table.check_readable(connection, stays.table.open())


def test_a_warehouse_that_is_killed_again_and_again_ends_as_one_in_a_folder(
    tmp_path: Path, instance: dg.DagsterInstance, bucket: Bucket, proxy: Proxy
) -> None:
    supplier = Supplier(random.Random(7))
    life = [supplier.delivery() for _ in range(2)]
    outcome = tmp_path / "undisturbed"
    here = House(outcome, instance, **tasks.ENVIRONMENT)
    for delivery in life:
        for file in delivery:
            file.put(here.settings.inbox)
        tasks.run_in(here, checks=False)
    environment = {**bucket.environment, "LAKE_URI": bucket.uri}
    machine = Machine(tmp_path / "killed", environment)
    through_proxy = Machine(machine.home, {**environment, "AWS_ENDPOINT_URL": proxy.url})
    killed: list[str] = []
    points = iter([point for point in OF_A_RUN if not point.is_amid])
    of_maintenance = iter([point for point in OF_MAINTENANCE if not point.is_amid])
    writes = count(2, 3)

    def note(code: int | None, where: str) -> None:
        assert code in {0, -signal.SIGKILL}, (code, machine.said)
        if code:
            killed.append(where)

    for delivery in life:
        for file in delivery:
            file.put(machine.home / "inbox")
        for point in islice(points, 4):
            note(machine.do(dying, run, [point], _TABLES), point.name)
        proxy.fault = _kills(through_proxy, next(writes), Fault.LOST)
        note(through_proxy.do(run, _TABLES), _AT_A_REQUEST)
        for point in islice(of_maintenance, 2):
            note(machine.do(dying, maintain_all, [point], _TABLES), point.name)
    assert machine.do(run, _TABLES) == 0, machine.said

    there = House(machine.home, instance, LAKE_URI=bucket.uri, **tasks.ENVIRONMENT)
    assert state_of(there, tasks.UNDER_FIRE) == state_of(here, tasks.UNDER_FIRE)
    assert len(set(killed)) > 8


def _kills(machine: Machine, number: int, fault: Fault) -> Callable[[str, str], Fault | None]:
    """Kill the machine at its `number`-th request that writes."""
    writes = 0

    def kill(method: str, path: str) -> Fault | None:
        nonlocal writes
        writes += method in {"PUT", "POST", "DELETE"}
        if writes == number:
            machine.kill()
            return fault
        return None

    return kill


def test_requests_that_fail_by_chance_are_made_again(
    tmp_path: Path, instance: dg.DagsterInstance, bucket: Bucket, proxy: Proxy
) -> None:
    source = random.Random(3)
    by_chance = (Fault.REFUSED, Fault.REFUSED, Fault.REFUSED, Fault.SLOW, Fault.CUT, Fault.LOST)
    proxy.fault = lambda *_: source.choice(by_chance) if source.random() < 0.1 else None
    _deliver_and_compare(tmp_path, instance, bucket, proxy)
    assert proxy.faults > 20


def test_a_commit_whose_answer_is_lost_is_neither_made_twice_nor_undone(
    tmp_path: Path, instance: dg.DagsterInstance, bucket: Bucket, proxy: Proxy
) -> None:
    lost = set[str]()

    def lose_once(method: str, path: str) -> Fault | None:
        if not is_commit(method, path) or path in lost:
            return None
        lost.add(path)
        return Fault.LOST

    proxy.fault = lose_once
    _deliver_and_compare(tmp_path, instance, bucket, proxy)
    assert proxy.faults > 5


def _deliver_and_compare(
    tmp_path: Path, instance: dg.DagsterInstance, bucket: Bucket, proxy: Proxy
) -> None:
    """Two deliveries are taken through the proxy, and in a folder."""
    environment = {**bucket.environment, "LAKE_URI": bucket.uri, "AWS_ENDPOINT_URL": proxy.url}
    machine = Machine(tmp_path / "there", environment)
    here = House(tmp_path / "here", instance, **tasks.ENVIRONMENT)
    supplier = Supplier(random.Random(5))
    for _ in range(2):
        for file in supplier.delivery():
            file.put(here.settings.inbox)
            file.put(machine.home / "inbox")
        tasks.run_in(here, checks=False)
        assert machine.do(run, _TABLES) == 0, machine.said
    there = House(machine.home, instance, LAKE_URI=bucket.uri, **tasks.ENVIRONMENT)
    assert state_of(there, tasks.UNDER_FIRE) == state_of(here, tasks.UNDER_FIRE)
