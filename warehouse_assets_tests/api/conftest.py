"""Fixtures of the service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from warehouse_assets_tests.api.serving import Served, serving, settings_of


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A service over an empty house; the limit of an upload is 10 MB."""
    with serving(settings_of(tmp_path / "home", UPLOAD_LIMIT="10MB")) as found:
        yield found


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The same, for tests that leave it empty."""
    folder = tmp_path_factory.mktemp("shared")
    with serving(settings_of(folder, UPLOAD_LIMIT="10MB")) as found:
        yield found
