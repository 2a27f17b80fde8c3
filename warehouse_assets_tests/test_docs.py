"""The documentation says what the code does."""

import re
from pathlib import Path

from warehouse_assets.catalogue import TABLES
from warehouse_assets.cli.commands import COMMANDS
from warehouse_assets.definitions import build_defs
from warehouse_assets_tests import reference

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


def test_pages_that_follow_from_the_code_are_up_to_date() -> None:
    assert (DOCS / "data_dictionary.md").read_text("utf-8") == reference.data_dictionary()
    assert (DOCS / "settings.md").read_text("utf-8") == reference.settings_page()


def test_every_command_is_in_the_readme_and_every_table_there_and_in_the_data_dictionary() -> None:
    assert [name for name in COMMANDS if f"| `warehouse {name}` |" not in README] == []
    dictionary = (DOCS / "data_dictionary.md").read_text("utf-8")
    names = [table.name for table in TABLES]
    assert [name for name in names if f"`{name}`" not in README] == []
    assert [name for name in names if f"\n## {name}\n" not in dictionary] == []


def test_every_sensor_and_schedule_is_in_the_operations_page() -> None:
    page = (DOCS / "operations.md").read_text("utf-8")
    repository = build_defs().get_repository_def()
    names = [*(s.name for s in repository.sensor_defs), *(s.name for s in repository.schedule_defs)]
    assert [name for name in names if f"`{name}`" not in page] == []


def test_the_readme_counts_the_checks() -> None:
    checks = build_defs().resolve_asset_graph().asset_check_keys
    assert f"{len(checks)} asset checks" in README


def test_links_lead_to_files_that_are_there() -> None:
    for page in PAGES:
        links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
        local = [link for link in links if "://" not in link]
        assert [link for link in local if not (page.parent / link).exists()] == [], page


def test_no_page_names_a_folder_of_the_package_that_is_not_there() -> None:
    text = (DOCS / "development.md").read_text("utf-8")
    layout = text.split("```")[3]
    folders = re.findall(r"^  (\w+)/ ", layout, flags=re.MULTILINE)
    modules = re.findall(r"(\w+\.py) ", layout)
    package = ROOT / "warehouse_assets"
    assert folders
    assert [folder for folder in folders if not (package / folder).is_dir()] == []
    family = package / "defs" / "forum"
    assert [
        name for name in modules if not (package / name).exists() and not (family / name).exists()
    ] == []
