"""Fixtures of the tests of sources, which hardly run Dagster."""

from collections.abc import Iterator

import dagster as dg
import pytest


@pytest.fixture(scope="session")
def instance() -> Iterator[dg.DagsterInstance]:
    """One Dagster history for all tests here: making one takes longer than most of them."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance
