"""Servers for tests that have them fail."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from warehouse_assets_tests.object_store import Bucket, ObjectStore, Proxy
from warehouse_assets_tests.sail import Sail


@pytest.fixture
def sail(tmp_path: Path) -> Iterator[Sail]:
    """A server for a test that kills it."""
    server = Sail(tmp_path / "sail.log")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A store of objects, which takes seconds to start."""
    store = ObjectStore(tmp_path_factory.mktemp("store") / "log")
    yield store
    store.kill()


@pytest.fixture
def bucket(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket, which this process reads and writes."""
    bucket = Bucket(object_store.port)
    for name, value in bucket.environment.items():
        monkeypatch.setenv(name, value)
    return bucket


@pytest.fixture
def proxy(bucket: Bucket, object_store: ObjectStore) -> Iterator[Proxy]:
    """Has requests to the bucket fail that go to its address."""
    with Proxy(object_store.port).serving() as proxy:
        yield proxy
