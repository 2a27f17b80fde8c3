"""A family that comes from a log of JSON lines is a declaration, and nothing else."""

from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy import BigInteger, Column, Date, DateTime, Double, MetaData, Table, Text

from warehouse_assets.ingest.log import json_log
from warehouse_assets.ingest.log_files import LogSource
from warehouse_assets.ingest.validate import Rule, Validator, text
from warehouse_assets.orchestration.assets import log_asset
from warehouse_assets.orchestration.resources import build_resources
from warehouse_assets.settings import Settings
from warehouse_assets_tests.ingest.stored import rejected, stored


def _field(name: str, kind: Any, **options: Any) -> Column[Any]:
    return Column(name, kind, info={"field": name}, comment=f"The {name}.", **options)


VISITS = Table(
    "visits",
    MetaData(),
    Column(
        "position",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        info={"is_position": True},
        comment="Where the line begins.",
    ),
    _field("page", Text, nullable=False),
    _field("seconds", Double),
    _field("day", Date),
    _field("began_at", DateTime),
    comment="Visits of pages.",
)
LINES = json_log(
    Validator(VISITS, rules=[Rule("seconds < 0", "seconds are negative", text("seconds"))])
)
ASSET = log_asset(
    LINES,
    VISITS,
    dg.AssetSpec("visits_log"),
    lambda settings: LogSource(settings.home / "visits.log", True, "VISITS_LOG"),
)


def test_a_declared_log_is_loaded_as_it_grows(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings = Settings.from_environment({"WAREHOUSE_HOME": str(tmp_path)})
    resources = build_resources(settings)
    log = tmp_path / "visits.log"
    lines = [
        '{"page": "/a", "seconds": 1.5, "day": "2026-11-30", "colour": "red"}',
        '{"page": "/b"}',
        '{"page": " ", "seconds": -1}',
        "no JSON",
    ]
    log.write_text("\n".join(lines) + '\n{"page": "/cut', encoding="utf-8")
    result = dg.materialize([ASSET.definition], instance=instance, resources=resources)

    (event,) = result.asset_materializations_for_node("visits")
    figures = {name: value.value for name, value in event.metadata.items()}
    assert figures["records_taken"] == 2
    assert figures["records_rejected"] == 2
    assert figures["unknown_fields"] == ["colour"]
    assert figures["bytes_of_unfinished_line"] == len('{"page": "/cut')
    second, third, fourth = (sum(len(line) + 1 for line in lines[:n]) for n in (1, 2, 3))
    lake = resources["lake"]
    assert stored(lake, VISITS, "position, page, seconds, CAST(day AS TEXT)") == [
        (0, "/a", 1.5, "2026-11-30"),
        (second, "/b", None, None),
    ]
    assert sorted(rejected(lake, "position, reason, raw")) == [
        (third, "page is missing; seconds are negative: -1", lines[2]),
        (fourth, "not valid JSON", lines[3]),
    ]

    with log.open("a", encoding="utf-8") as stream:
        stream.write('", "began_at": "2026-11-30T12:00:00+01:00"}\n')
    assert dg.materialize([ASSET.definition], instance=instance, resources=resources).success
    assert stored(lake, VISITS, "page, CAST(began_at AS TEXT)") == [
        ("/a", None),
        ("/b", None),
        ("/cut", "2026-11-30 11:00:00"),
    ]
