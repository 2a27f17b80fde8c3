"""Every table there is, and every question it answers, family by family."""

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Table

import warehouse_assets.defs
from warehouse_assets.questions import Question
from warehouse_assets.settings import Settings, in_words
from warehouse_assets.tables import LOADS, REJECTED_RECORDS, UNKNOWN_FIELDS, key_names

_DECLARED = {
    file.parent.name: import_module(f"warehouse_assets.defs.{file.parent.name}.tables")
    for file in sorted(Path(warehouse_assets.defs.__path__[0]).glob("*/tables.py"))
}

FAMILIES: Mapping[str, Sequence[Table]] = {
    name: declared.TABLES for name, declared in _DECLARED.items()
}
"""The tables of each family, by its name."""

TABLES: tuple[Table, ...] = (
    *(table for tables in FAMILIES.values() for table in tables),
    REJECTED_RECORDS,
    UNKNOWN_FIELDS,
    LOADS,
)
for _name, _tables in FAMILIES.items():
    for _table in _tables:
        _table.info["family"] = _name

SELECTS: Mapping[str, Path] = {
    str(table.name): path
    for name, tables in FAMILIES.items()
    for table in tables
    if (path := Path(str(_DECLARED[name].__file__)).parent / "sql" / f"{table.name}.sql").exists()
}
"""The file of the SELECT that computes a table, by its name; loaded tables have none."""

FROM_FILES = tuple(table for table in TABLES if table.info.get("made_from") == "archive")
"""The tables that are loaded from files of the inbox, which people can send."""

ANSWER_TABLES = tuple(table for table in TABLES if "answers" in table.info)
"""The tables that answer a question, which is in their `info["answers"]`."""


ANSWERS: Mapping[str, Sequence[Table | Question]] = {
    name: (
        *(table for table in declared.TABLES if "answers" in table.info),
        *getattr(declared, "QUESTIONS", ()),
    )
    for name, declared in _DECLARED.items()
}
"""The answers of each family, by its name."""

QUESTIONS: tuple[Question, ...] = tuple(
    asked for answers in ANSWERS.values() for asked in answers if isinstance(asked, Question)
)

ASKED: Mapping[str, Table | Question] = {
    **{str(table.name): table for table in TABLES},
    **{question.name: question for question in QUESTIONS},
}
"""Every table and question by its name."""


def question_of(asked: Table | Question, settings: Settings) -> str | None:
    """What an answer answers, with the values of the settings that it names; None if nothing."""
    text = asked.text if isinstance(asked, Question) else asked.info.get("answers")
    return None if text is None else in_words(text, settings)


def reads_of(asked: Table | Question) -> Sequence[Table]:
    """The tables that an answer is read from: what a question names, or the table itself."""
    return asked.reads if isinstance(asked, Question) else [asked]


def tables_of(answers: Iterable[Table | Question]) -> list[Table]:
    """The tables that answers are read from, each once."""
    return list(dict.fromkeys(table for asked in answers for table in reads_of(asked)))


def order_of(table: Table) -> list[Column[Any]]:
    """The columns that the rows of an answer are in the order of; together they are of one row."""
    named: Sequence[str] = table.info.get("order") or ()
    return [table.c[name] for name in dict.fromkeys((*named, *key_names(table)))]
