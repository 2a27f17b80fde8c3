"""A family is a folder: one that is put into `defs/` is known everywhere."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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

ORDERS_FILES = csv_files(ORDERS)
FAMILY = Family(
    "orders",
    [
        *file_asset(ORDERS_FILES, "csv"),
        sql_asset(ORDERS_PER_DAY, [ORDERS], Path(__file__).parent / "sql"),
    ],
    {ORDERS: [], ORDERS_PER_DAY: []},
    files=[ORDERS_FILES],
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

    def start(self, *command: str | Path, **settings: str) -> subprocess.Popen[str]:
        """Start a `warehouse` command of the copy."""
        code = "import sys; from warehouse_assets.cli import main; sys.exit(main())"
        return subprocess.Popen(
            [sys.executable, "-c", code, *command],
            cwd=self.folder,
            env={
                **os.environ,
                "PYTHONPATH": str(self.folder),
                "WAREHOUSE_HOME": str(self.home),
                "INBOX_SETTLE_SECONDS": "0",
                **settings,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str | Path) -> tuple[int, str]:
        """Run a command; returns its exit code and what it printed."""
        process = self.start(*command)
        printed, _ = process.communicate(timeout=120)
        return process.returncode, printed

    @contextmanager
    def served(self) -> Iterator[str]:
        """The address of the service."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = self.start("serve", API_PORT=str(port))
        address = f"http://127.0.0.1:{port}"
        try:
            yield address
        finally:
            process.terminate()
            process.communicate(timeout=60)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that has taken a file of orders."""
    folder = tmp_path_factory.mktemp("project")
    project = Project(folder)
    file = folder / "orders.csv"
    file.write_text(ROWS, encoding="utf-8")
    code, printed = project.run("ingest", file)
    assert code == 0, printed
    assert "amount is not a number" in printed
    return project


def test_it_takes_fewer_than_sixty_lines() -> None:
    assert sum(len(content.splitlines()) for content in FILES.values()) < 60


def test_its_rows_are_loaded_and_its_faults_are_told(project: Project) -> None:
    rows = "SELECT id, customer, amount FROM orders ORDER BY id"
    assert project.run("sql", "--format", "csv", rows)[1].splitlines()[-3:] == [
        "1,Ann,10.5",
        "2,Bob,",
        "4,Dee,2.0",
    ]
    faults = "SELECT source, position, reason, value FROM rejected_records"
    code, printed = project.run("sql", "--format", "csv", faults)
    assert code == 0, printed
    assert printed.splitlines()[-1] == "orders,4,amount is not a number,much"


def test_its_answer_is_shown_and_checked(project: Project) -> None:
    code, printed = project.run("answers")
    assert code == 0, printed
    assert "How many orders were there each day? (orders_per_day)" in printed
    # One of four orders is too many rejected ones.
    code, printed = project.run("check")
    assert (code, "FAILED orders.rejected_share_is_low" in printed) == (1, True), printed


def test_the_service_answers_its_question(project: Project) -> None:
    with project.served() as address, client() as session:
        eventually(lambda: _answers(session, address))
        answer = session.get(f"{address}/answers/orders_per_day").json()
    assert [list(row.values()) for row in answer["rows"]] == [
        ["2026-11-29", 2, 10.5],
        ["2026-11-30", 1, 2.0],
    ]


def _answers(session: requests.Session, address: str) -> bool:
    try:
        return session.get(f"{address}/health/live", timeout=5).ok
    except requests.ConnectionError:
        return False


def test_the_graph_has_its_assets_and_its_sensor(project: Project) -> None:
    code = (
        "from warehouse_assets.definitions import defs; graph = defs.resolve_asset_graph();"
        "print(sorted(key.to_user_string() for key in graph.get_all_asset_keys()));"
        "print(defs.resolve_job_def('take_orders_inbox').name)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": str(project.folder), "WAREHOUSE_HOME": str(project.home)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "'orders', 'orders_per_day'" in printed
    assert "take_orders_inbox" in printed
