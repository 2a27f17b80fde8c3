"""The transformations are SQL that DuckDB and Spark both accept."""

from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

import warehouse_assets

FILES = sorted(Path(warehouse_assets.__file__).parent.glob("defs/*/sql/*.sql"))


@pytest.mark.parametrize("dialect", ["duckdb", "spark"])
def test_each_file_is_one_select_in_either_dialect(dialect: str) -> None:
    assert FILES
    for file in FILES:
        (statement,) = sqlglot.parse(
            file.read_text(encoding="utf-8"), read=dialect, error_level=sqlglot.ErrorLevel.RAISE
        )
        assert isinstance(statement, exp.Select), file
        assert [call.name for call in statement.find_all(exp.Anonymous)] == [], file
