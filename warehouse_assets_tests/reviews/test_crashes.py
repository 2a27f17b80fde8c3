"""A catch-up that dies between its steps is simply done again."""

from typing import Any

import pytest

from warehouse_assets.lake import Lake
from warehouse_assets.sources import sql_snapshot, sql_spool
from warehouse_assets_tests.reviews.conftest import CatchUp
from warehouse_assets_tests.reviews.databases import Database, review
from warehouse_assets_tests.reviews.stored import SOURCE_COLUMNS, given, rejected, stored

BAD = review(7, unixReviewTime=None, reviewTime=None)


class DiedError(Exception):
    pass


def die(*_: Any, **__: Any) -> None:
    raise DiedError


@pytest.mark.parametrize("step", ["reject_once", "replace_by_content"])
@pytest.mark.parametrize("comes", ["before", "after"])
def test_a_catch_up_that_died_is_done_again(
    lake: Lake,
    database: Database,
    catch_up: CatchUp,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    comes: str,
) -> None:
    database.insert([review(1), review(2)])
    catch_up(database)
    database.execute("DELETE FROM reviews WHERE level_0 = 1")
    database.insert([review(2), review(3), BAD])
    original = getattr(sql_snapshot, step)

    def run_and_die(*arguments: Any) -> None:
        original(*arguments)
        raise DiedError

    with monkeypatch.context() as patch:
        patch.setattr(sql_snapshot, step, die if comes == "before" else run_and_die)
        with pytest.raises(DiedError):
            catch_up(database)
    catch_up(database)

    assert stored(lake, SOURCE_COLUMNS) == given([review(2), review(2), review(3)])
    assert len(rejected(lake)) == 1


def test_reading_that_breaks_off_changes_nothing(
    lake: Lake, database: Database, catch_up: CatchUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.insert([review(1)])
    catch_up(database)
    database.insert([review(2), BAD])

    with monkeypatch.context() as patch:
        patch.setattr(sql_spool.Spool, "finish", die)
        with pytest.raises(DiedError):
            catch_up(database)

    assert stored(lake, SOURCE_COLUMNS) == given([review(1)])
    assert rejected(lake) == []
