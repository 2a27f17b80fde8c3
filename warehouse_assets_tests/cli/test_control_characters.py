"""What data hold that would control a terminal is shown there; exports have it as it is."""

import csv
import io
import json
import logging
import unicodedata
from pathlib import Path

from warehouse_assets.errors import SourceError
from warehouse_assets.terminal_text import VisibleFormatter, visible
from warehouse_assets_tests.cli.conftest import Command, Only
from warehouse_assets_tests.house import House

# A colour, a title of the window, C1, an override of direction, a line end, a tab; rich's markup.
_EVIL = "\x1b[31m\x1b]0;mine\x07\x9b2J\u202edlo\u2066\n\t\r[red]x[/red][link=http://x]\\[b] :bomb:"
_SHOWN = r"\x1b[31m\x1b]0;mine\x07\x9b2J\u202edlo\u2066\n\t\r[red]x[/red][link=http://x]\[b] :bomb:"


def controls(text: str) -> list[str]:
    """The characters of `text` that control a terminal, but for the ends of lines."""
    bidi = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
    return [
        character
        for character in text
        if character != "\n"
        and (
            unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
            or unicodedata.bidirectional(character) in bidi
        )
    ]


def test_control_characters_become_their_escapes() -> None:
    shown = {
        "plain, é, 漢, \N{FAMILY}": "plain, é, 漢, \N{FAMILY}",
        "\0\x07\x1b\x7f\x80\x9b\x9f": r"\x00\x07\x1b\x7f\x80\x9b\x9f",
        "\u202a\u202e\u2066\u2069\u200f": r"\u202a\u202e\u2066\u2069\u200f",
        "a\n\t\rb\u2028\udcff": r"a\n\t\rb\u2028\udcff",
        r"\x1b": r"\x1b",
    }
    assert {text: visible(text) for text in shown} == shown


def test_the_table_of_a_query_shows_them_and_the_exports_hold_them(command: Command) -> None:
    quoted = _EVIL.replace("'", "''")
    query = f"""SELECT '{quoted}' AS "n\x1b[1m[red]", 1 AS b"""

    table = command("sql", query)
    assert controls(table.output) == []
    assert _SHOWN in table.stdout
    assert r"n\x1b[1m[red]" in table.stdout

    wide = ", ".join(f"'{quoted}' AS c{n}" for n in range(80))
    records = command("sql", f"SELECT {wide}")
    assert controls(records.output) == []
    assert records.stdout.count(_SHOWN) == 80

    exported = command("sql", query, "--format", "csv")
    assert list(csv.reader(io.StringIO(exported.stdout, newline="")))[1] == [_EVIL, "1"]
    lines = command("sql", query, "--format", "json")
    assert json.loads(lines.stdout) == {"n\x1b[1m[red]": _EVIL, "b": 1}

    wrong = command("sql", "SELECT CAST('\x1b]0;mine\x07' AS INTEGER)")
    assert wrong.exit_code == 1
    assert controls(wrong.output) == []
    assert r"\x1b]0;mine\x07" in wrong.stderr


def test_answers_checks_and_what_is_told_of_files_show_them(
    command: Command, house: House, mine: Path, only: Only
) -> None:
    only("votes", "trips")
    evil = _EVIL.replace("\n", "").replace("/", "")
    votes = mine / f"votes-{evil}.jsonl"
    votes.write_text(json.dumps({"Id": 1, "PostId": 1, "CreationDate": _EVIL}))
    trips = mine / f"trips-{evil}.csv"
    trips.write_text("no header\n")
    house.deliver(f"orders{_EVIL}.csv".replace("/", ""), "a,b\n")

    ingested = command("ingest", votes, trips)

    assert controls(ingested.output) == []
    assert ingested.exit_code == 1
    assert f"Nothing in {mine}/votes-\\x1b[31m" in ingested.stderr
    assert r"orders\x1b[31m" in ingested.stderr
    assert r"\n\t\r[red]x[red][link=http:x]\[b] :bomb:.csv stays in the inbox" in ingested.stderr

    again = command("ingest", votes)
    assert controls(again.output) == []
    assert r"\x1b[31m" in again.stdout

    checked = command("check")
    assert controls(checked.output) == []
    assert r"votes-\x1b[31m" in checked.output

    answered = command("answers", "rejected_records")
    assert controls(answered.output) == []
    assert r"votes-\x1b[31m" in answered.stdout


def test_the_log_of_a_run_shows_them(house: House) -> None:
    house.deliver("votes\x1b[31m\x9b2J\n.jsonl", "{bad\n")

    result = house.run("votes", checks=False)

    told = [entry.user_message for entry in house.instance.all_logs(result.run_id)]
    assert [text for text in told if controls(text)] == []
    assert any(text.startswith(r"Took votes\x1b[31m\x9b2J\n.jsonl (") for text in told)


def test_errors_and_the_log_of_the_service_show_them() -> None:
    error = SourceError("The file \x1b[31m cannot be read.\nSee \x9b2J.")
    assert str(error) == "The file \\x1b[31m cannot be read.\nSee \\x9b2J."

    record = logging.makeLogRecord(
        {"msg": "GET %s", "args": ("/\x1b[31m\nforged",), "levelname": "INFO"}
    )
    assert VisibleFormatter("%(levelname)s %(message)s").format(record) == (
        r"INFO GET /\x1b[31m\nforged"
    )
