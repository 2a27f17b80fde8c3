"""The pages of the documentation that follow from declarations: tables and settings.

`python -m warehouse_assets_tests.reference FOLDER` writes them; a test holds them against the code.
"""

import sys
from pathlib import Path

from sqlalchemy import Table

from warehouse_assets.catalogue import TABLES, question_of
from warehouse_assets.settings import SETTINGS, Settings
from warehouse_assets.tables import duckdb_type

_WRITTEN_BY = "<!-- Written by `make docs` from the declarations in the code. -->\n"


def data_dictionary() -> str:
    """Every table with its columns, their types and what they mean."""
    intro = """# Data dictionary

The tables of the warehouse (and, under the same names, of the lake). In SQLite a date is text such
as `2022-01-03` and a time is text such as `2022-01-03 00:00:00.000000`. The warehouse holds these
descriptions, too: `SELECT * FROM _columns`. Weeks begin on Monday; days and weeks are of the UTC
date of a time with a zone, of the written date of a time without.
"""
    return "\n".join([_WRITTEN_BY + intro, *map(_table_section, TABLES)])


def settings_page() -> str:
    """Every setting with its default and meaning."""
    intro = """# Settings

Environment variables; one that is unset or empty has its default. `{home}` is the value of
`WAREHOUSE_HOME`; a relative path counts from the folder in which a command runs. A setting that
cannot be used stops the command and is named in the message; a variable with nearly the name of a
setting is warned of. A file `.env` in the current folder is read, too; the environment goes before
it.
"""
    rows = [f"| `{s.variable}` | `{s.default}` | {s.meaning} |" for s in SETTINGS]
    outro = """
`DAGSTER_HOME`, if set, is where Dagster keeps its history. If not, `dagster dev` and
`dagster asset materialize` run in the project's folder keep it in `data/dagster` (by
`dagster.yaml`), and the `warehouse` command in `{home}/dagster`: the same place by default. Set
both `WAREHOUSE_HOME` and `DAGSTER_HOME` when the data lives elsewhere.
"""
    table = ["| variable | default | meaning |", "| --- | --- | --- |", *rows]
    return "\n".join([_WRITTEN_BY + intro, *table, outro])


def _table_section(table: Table) -> str:
    keys = ", ".join(f"`{column.name}`" for column in table.primary_key.columns)
    question = question_of(table, Settings.from_environment({}))
    answers = f"Answers: *{question}* " if question else ""
    rows = [
        f"| `{column.name}` | {duckdb_type(column)} | {column.comment} |"
        for column in table.columns
    ]
    head = [f"## {table.name}\n", f"{table.comment} {answers}Key: {keys}.\n"]
    return "\n".join([*head, "| column | type | meaning |", "| --- | --- | --- |", *rows, ""])


def write(folder: Path) -> None:
    """Write the pages into `folder`."""
    (folder / "data_dictionary.md").write_text(data_dictionary(), encoding="utf-8")
    (folder / "settings.md").write_text(settings_page(), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
