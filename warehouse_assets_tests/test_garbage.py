import gc
from collections.abc import Iterator

import pytest

from warehouse_assets.garbage import look_less_often


@pytest.fixture(autouse=True)
def as_python_begins() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


def test_new_objects_are_looked_at_less_often_and_old_ones_as_often_after_that() -> None:
    look_less_often()

    assert gc.get_threshold()[0] > 10_000
    assert gc.get_threshold()[1:] == (10, 10)
    assert gc.isenabled()
