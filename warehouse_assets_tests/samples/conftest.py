"""Fixtures of the sample school."""

from pathlib import Path

import pytest

from warehouse_assets.samples.files import Places


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Where a school may be made."""
    return Places.in_folder(tmp_path / "school")
