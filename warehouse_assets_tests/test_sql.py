"""The transformations are Spark's SQL; `cluster` has an engine run them, all other tests DuckDB."""

from pathlib import Path

import sqlglot
from sqlglot import exp

import warehouse_assets

FILES = sorted(Path(warehouse_assets.__file__).parent.glob("defs/*/sql/*.sql"))


def test_each_file_is_one_select_of_known_functions() -> None:
    assert FILES
    for file in FILES:
        (statement,) = sqlglot.parse(
            file.read_text(encoding="utf-8"), read="spark", error_level=sqlglot.ErrorLevel.RAISE
        )
        assert isinstance(statement, exp.Select), file
        assert [call.name for call in statement.find_all(exp.Anonymous)] == [], file
