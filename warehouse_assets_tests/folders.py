"""Tables of a lake as what they are in most tests: folders of this machine."""

from pathlib import Path

from warehouse_assets.lake.storage import Place


def folder_of(place: "Place | str") -> Path:
    """The folder that `place` is."""
    assert isinstance(place, Path)
    return place
