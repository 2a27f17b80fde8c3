"""A family is a folder: one that is put into `defs/` is known everywhere."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from warehouse_assets_tests.integration.processes import REPOSITORY

TABLES = '''\
"""The tables of the orders: what customers ordered."""

from sqlalchemy import BigInteger, Column, Date, DateTime, Double, Table, Text

from warehouse_assets.tables import METADATA

ORDERS = Table(
    "orders",
    METADATA,
    Column("id", BigInteger, primary_key=True, info={"field": "id"}, comment="The order's number."),
    Column("customer", Text, nullable=False, info={"field": "customer"}, comment="Who ordered."),
    Column("amount", Double, info={"field": "amount"}, comment="Euros, where they are known."),
    Column("ordered_at", DateTime, nullable=False, info={"field": "ordered_at"}, comment="When."),
    Column("arrival", BigInteger, nullable=False, comment="Number of the file it came in."),
    comment="Orders, one row each; the newest file counts.",
    info={"made_from": "archive"},
)
ORDERS_PER_DAY = Table(
    "orders_per_day",
    METADATA,
    Column("day", Date, primary_key=True, comment="The day of the orders."),
    Column("orders", BigInteger, nullable=False, comment="How many there were."),
    Column("amount", Double, comment="The sum of those amounts that are known, in euros."),
    comment="Orders by day; only days with orders.",
    info={"answers": "How many orders were there each day?"},
)
TABLES = (ORDERS, ORDERS_PER_DAY)
'''
FAMILY = '''\
"""Orders: what customers ordered, and when."""

from pathlib import Path

from warehouse_assets.defs.orders.tables import ORDERS, ORDERS_PER_DAY
from warehouse_assets.ingest.csv import csv_files
from warehouse_assets.orchestration.assets import file_asset, sql_asset
from warehouse_assets.orchestration.families import Family

FAMILY = Family(
    "orders",
    [
        file_asset(csv_files(ORDERS), "csv"),
        sql_asset(ORDERS_PER_DAY, [ORDERS], Path(__file__).parent / "sql"),
    ],
)
'''
SELECT = """\
SELECT CAST(ordered_at AS DATE) AS day, count(*) AS orders, sum(amount) AS amount
FROM orders GROUP BY CAST(ordered_at AS DATE)
"""
FILES = {
    "__init__.py": '"""The family of orders."""\n',
    "tables.py": TABLES,
    "family.py": FAMILY,
    "sql/orders_per_day.sql": SELECT,
}
ROWS = """\
id,customer,amount,ordered_at
1,Ann,10.5,2026-11-29 10:00:00
2,Bob,,2026-11-29 23:59:59
3,Cid,much,2026-11-30 08:00:00
4,Dee,2,2026-11-30 09:00:00
"""


# What people do with the family, in one process of its own, for its imports take long.
USE = """
import json, sys
from click.testing import CliRunner
from fastapi.testclient import TestClient
from warehouse_assets.api.app import build_app
from warehouse_assets.cli import main
from warehouse_assets.definitions import defs
from warehouse_assets.settings import Settings

requested = []

class NoRuns:
    is_started = True
    start = stop = lambda self: None
    request = lambda self, asset: requested.append(asset)

def run(*arguments):
    done = CliRunner().invoke(main, arguments)
    return [done.exit_code, done.output]

rows = "SELECT id, customer, amount FROM orders ORDER BY id"
faults = "SELECT source, position, reason, value FROM rejected_records"
told = {
    "ingest": run("ingest", "--orders", sys.argv[1]),
    "rows": run("sql", "--format", "csv", rows),
    "faults": run("sql", "--format", "csv", faults),
    "answers": run("answers", "orders_per_day"),
    "assets": [key.to_user_string() for key in defs.resolve_all_asset_keys()],
    "job": defs.resolve_job_def("take_orders_inbox").name,
}
app = build_app(Settings.from_environment(), NoRuns())
with TestClient(app, base_url="http://127.0.0.1") as client:
    sent = client.post("/orders/ingestions", content=b"id,customer", params={"name": "x.csv"})
    told["upload"] = [sent.status_code, requested, client.get("/orders/ingestions").json()["items"]]
    told["service"] = client.get("/answers/orders_per_day").json()
json.dump(told, sys.stdout)
"""


def test_it_takes_fewer_than_sixty_lines() -> None:
    assert sum(len(content.splitlines()) for content in FILES.values()) < 60


def test_the_command_the_graph_and_the_service_know_it(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    # With its compiled modules, which takes less time than to compile them again, but without
    # those that another process is writing.
    ignored = shutil.ignore_patterns("*.pyc.*")
    shutil.copytree(REPOSITORY / "warehouse_assets", tree / "warehouse_assets", ignore=ignored)
    for name, content in FILES.items():
        path = tree / "warehouse_assets" / "defs" / "orders" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    file = tmp_path / "export.csv"
    file.write_text(ROWS, encoding="utf-8")
    environment = {
        "PYTHONPATH": str(tree),
        "WAREHOUSE_HOME": str(tmp_path / "home"),
        "INBOX_SETTLE_SECONDS": "0",
        "COLUMNS": "200",
    }
    done = subprocess.run(
        [sys.executable, "-c", USE, file],
        cwd=tree,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)

    code, printed = told["ingest"]
    assert code == 0, printed
    assert "amount is not a number" in printed
    # One of four orders is too many rejected ones.
    assert "FAILED orders.rejected_share_is_low" in printed
    assert told["rows"] == [0, "id,customer,amount\n1,Ann,10.5\n2,Bob,\n4,Dee,2.0\n"]
    assert told["faults"][1].splitlines()[1:] == ["orders,4,amount is not a number,much"]
    code, printed = told["answers"]
    assert code == 0
    assert "How many orders were there each day? (orders_per_day)" in printed
    assert {"orders", "orders_per_day"} <= set(told["assets"])
    assert told["job"] == "take_orders_inbox"
    assert [list(row.values()) for row in told["service"]["rows"]] == [
        ["2026-11-29", 2, 10.5],
        ["2026-11-30", 1, 2.0],
    ]
    code, requested, (sent,) = told["upload"]
    assert (code, requested, sent["name"], sent["status"]) == (202, ["orders"], "x.csv", "queued")
