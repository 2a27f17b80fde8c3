"""A server for tests that kill it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from warehouse_assets_tests.sail import Sail


@pytest.fixture
def sail(tmp_path: Path) -> Iterator[Sail]:
    """A server for a test that kills it."""
    server = Sail(tmp_path / "sail.log")
    server.start()
    yield server
    server.kill()
