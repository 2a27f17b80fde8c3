"""A family is a folder: one that is put into `defs/` is known everywhere."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from warehouse_assets_tests.api.serving import client, eventually
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


# What people do with the family once its file was taken, in one process, for its imports take long.
USE = """
import json, sys
from click.testing import CliRunner
from warehouse_assets.cli import main

def run(*arguments):
    done = CliRunner().invoke(main, arguments)
    return [done.exit_code, done.output]

rows = "SELECT id, customer, amount FROM orders ORDER BY id"
faults = "SELECT source, position, reason, value FROM rejected_records"
told = {
    "rows": run("sql", "--format", "csv", rows),
    "faults": run("sql", "--format", "csv", faults),
    "answers": run("answers"),
    "check": run("check"),
}
from warehouse_assets.definitions import defs
told["assets"] = [key.to_user_string() for key in defs.resolve_all_asset_keys()]
told["job"] = defs.resolve_job_def("take_orders_inbox").name
json.dump(told, sys.stdout)
"""


class Project:
    """The package with one more family, and a home for it."""

    def __init__(self, folder: Path) -> None:
        self.home, self.folder = folder / "home", folder / "tree"
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(
            REPOSITORY / "warehouse_assets", self.folder / "warehouse_assets", ignore=ignored
        )
        for name, content in FILES.items():
            path = self.folder / "warehouse_assets" / "defs" / "orders" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")

    def start(self, code: str, *arguments: str | Path, **more: str) -> subprocess.Popen[str]:
        """Start Python code over the copy."""
        environment = {
            "PYTHONPATH": str(self.folder),
            "WAREHOUSE_HOME": str(self.home),
            "INBOX_SETTLE_SECONDS": "0",
            "COLUMNS": "200",
        }
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=self.folder,
            env={**os.environ, **environment, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str, *arguments: str | Path) -> str:
        """Run Python code that succeeds; returns what it printed."""
        process = self.start(code, *arguments)
        printed, told = process.communicate(timeout=120)
        assert process.returncode == 0, printed + told
        return printed


COMMAND = "from warehouse_assets.cli import main; main()"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that has taken a file of orders."""
    folder = tmp_path_factory.mktemp("project")
    project = Project(folder)
    file = folder / "export.csv"
    file.write_text(ROWS, encoding="utf-8")
    assert "amount is not a number" in project.run(COMMAND, "ingest", "--orders", file)
    return project


def test_it_takes_fewer_than_sixty_lines() -> None:
    assert sum(len(content.splitlines()) for content in FILES.values()) < 60


def test_the_command_and_the_graph_know_it(project: Project) -> None:
    told = json.loads(project.run(USE))
    assert told["rows"] == [0, "id,customer,amount\n1,Ann,10.5\n2,Bob,\n4,Dee,2.0\n"]
    assert told["faults"][1].splitlines()[1:] == ["orders,4,amount is not a number,much"]
    code, printed = told["answers"]
    assert code == 0
    assert "How many orders were there each day? (orders_per_day)" in printed
    code, printed = told["check"]
    # One of four orders is too many rejected ones.
    assert (code, "FAILED orders.rejected_share_is_low" in printed) == (1, True), printed
    assert {"orders", "orders_per_day"} <= set(told["assets"])
    assert told["job"] == "take_orders_inbox"


def test_the_service_answers_its_question(project: Project) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    process = project.start(COMMAND, "serve", API_PORT=str(port))
    try:
        with client() as session:
            eventually(lambda: _answers(session, address))
            answer = session.get(f"{address}/answers/orders_per_day").json()
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert [list(row.values()) for row in answer["rows"]] == [
        ["2026-11-29", 2, 10.5],
        ["2026-11-30", 1, 2.0],
    ]


def _answers(session: requests.Session, address: str) -> bool:
    try:
        return session.get(f"{address}/health/live", timeout=5).ok
    except requests.ConnectionError:
        return False
