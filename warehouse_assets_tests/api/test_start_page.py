"""The start page over samples of all families, in a real browser."""

import re
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from warehouse_assets_tests.api.browsing import Page
from warehouse_assets_tests.api.serving import Served, eventually

_FAMILIES = ["deliveries", "forum", "reviews", "school", "trips"]
_TABLE = """
return [...document.querySelectorAll(`#answer-${arguments[0]} .values tr`)].map(
    row => [...row.children].map(cell => cell.textContent))
"""


# What is said of each mark of a chart, besides its axes and legends.
_MARKS = """
const marks = document.querySelectorAll(`#answer-${arguments[0]} svg [role=graphics-symbol]`);
const of = mark => mark.getAttribute("aria-roledescription");
return [...marks].filter(mark => !/axis|legend/.test(of(mark))).map(mark => mark.ariaLabel);
"""


@pytest.fixture
def page(browser: webdriver.Chrome, sampled: Served) -> Page:
    found = Page(browser, sampled)
    found.awaits_all()
    return found


def get(page: Page, path: str) -> Any:
    response = page.served.client.get(page.served.address + path)
    assert response.status_code == 200, response.text
    return response.json()


def as_read(name: str, value: Any) -> str:
    """A value as a person reads it: at most three digits behind the point."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        rounded = Decimal(value).quantize(Decimal("0.001"), ROUND_HALF_UP)
        is_amount = name.rpartition("_")[2] not in {"id", "year"}
        text = f"{rounded:,}" if is_amount else f"{rounded}"
        return text.rstrip("0").removesuffix(".")
    return "" if value is None else str(value)


def test_every_family_tells_how_fresh_it_is_and_leads_to_what_it_rejected(page: Page) -> None:
    tiles = page.element("families").find_elements(By.TAG_NAME, "li")
    assert [tile.find_element(By.TAG_NAME, "a").text.lower() for tile in tiles] == _FAMILIES
    for tile, family in zip(tiles, get(page, "/v1/families")["items"], strict=True):
        assert (
            tile.find_element(By.TAG_NAME, "time").get_attribute("datetime") == family["changed_at"]
        )
        rejected = get(page, f"{family['rejected_url']}&limit=1000")["items"]
        assert family["rejected"] == len(rejected)
        assert f"{len(rejected) or 'none'} rejected" in tile.text
        assert all(record["reason"] for record in rejected)

    links = page.element("families").find_elements(By.PARTIAL_LINK_TEXT, "rejected")
    forum = next(link for link in links if "votes" in str(link.get_attribute("href")))
    number = int(forum.text.split()[0])
    forum.click()
    rows = page.browser.find_elements(By.CSS_SELECTOR, "table.data tbody tr")
    assert len(rows) == number > 0
    assert page.console() == []


def test_every_answer_is_there_with_the_values_that_the_api_has(page: Page) -> None:
    answers = get(page, "/v1/answers")["items"]
    assert len(answers) >= 8
    for answer in answers:
        rows = get(page, f"{answer['url']}?{'limit=100' if answer['columns'] else ''}")["items"]
        assert rows, answer["name"]
        shown = page.run(_TABLE, answer["name"])
        assert shown[0] == [name.replace("_", " ") for name in rows[0]]
        assert shown[1:] == [[as_read(*cell) for cell in row.items()] for row in rows]
        assert len(page.run(_MARKS, answer["name"])) > 0, answer["name"]
        question = page.element(f"answer-{answer['name']}").find_element(By.TAG_NAME, "h3")
        assert question.text == answer["question"]
    assert page.console() == []


def test_a_region_is_chosen_and_the_links_lead_to_the_same_rows(page: Page) -> None:
    card = page.element("answer-weekly_trips")
    choice = Select(card.find_element(By.NAME, "region"))
    regions = [option.text for option in choice.options]
    assert regions[0] == "all"
    assert regions[1:] == sorted(
        {row["region"] for row in get(page, "/v1/answers/weekly_trips?limit=1000")["items"]}
    )
    choice.select_by_visible_text(regions[2])
    eventually(lambda: {row[0] for row in page.run(_TABLE, "weekly_trips")[1:]} == {regions[2]})
    address = str(card.find_element(By.LINK_TEXT, "CSV").get_attribute("href"))
    lines = page.served.client.get(address).text.splitlines()
    assert lines[0].startswith("region,")
    assert len(lines) > 1
    assert all(line.startswith(f"{regions[2]},") for line in lines[1:])


def test_a_value_leads_to_the_rows_that_have_it(page: Page) -> None:
    card = page.element("answer-outlier_weeks")
    card.find_element(By.TAG_NAME, "summary").click()
    link = card.find_element(By.CSS_SELECTOR, "tbody a")
    year = int(link.text)
    weeks = get(page, f"/v1/tables/outlier_weeks?year={year}")["items"]
    link.click()
    rows = page.browser.find_elements(By.CSS_SELECTOR, "table.data tbody tr")
    assert [row.text.split()[:3] for row in rows] == [
        [str(week["year"]), str(week["week_number"]), str(week["votes"])] for week in weeks
    ]


def test_charts_show_the_values_that_the_api_has(page: Page) -> None:
    weeks = get(page, "/v1/answers/mean_votes_per_post_per_week?limit=1000")["items"]
    unusual = get(page, "/v1/answers/outlier_weeks?limit=1000")["items"]
    assert sorted(
        mark for mark in page.run(_MARKS, "outlier_weeks") if mark.startswith("Week")
    ) == (
        sorted(f"Week of {week['week_start']}: {week['votes']} votes" for week in weeks + unusual)
    )
    batches = get(page, "/v1/answers/batch_completions?limit=30")["items"]
    assert page.run(_MARKS, "batch_completions") == [
        f"Students: {batch['students_completed']}; batch: {batch['batch_name']}"
        for batch in batches
    ]


def stars_drawn(page: Page) -> dict[int, int]:
    """How many reviews the chart of reviews shows by their stars."""
    found: dict[int, int] = dict.fromkeys(range(1, 6), 0)
    for mark in page.run(_MARKS, "reviews_per_month"):
        told = re.search(r": (\d+) reviews with stars: (\d)$", mark)
        assert told is not None, mark
        found[int(told[2])] += int(told[1])
    return found


def test_the_reviews_of_a_product_or_a_user_are_found(page: Page) -> None:
    card = page.element("answer-reviews_per_month")
    for column, table in (("product_id", "product_reviews"), ("user_id", "reviewer_reviews")):
        path = f"/v1/tables/{table}_daily?{column}.neq=&order=reviews.desc&limit=1"
        wanted = get(page, path)["items"][0][column]
        days = get(page, f"/v1/tables/{table}_daily?{column}={wanted}")["items"]
        Select(card.find_element(By.CSS_SELECTOR, "[data-of]")).select_by_value(column)
        search = card.find_element(By.CSS_SELECTOR, "[data-search]")
        search.clear()
        search.send_keys(wanted + Keys.ENTER)
        shown = [[as_read(*cell) for cell in day.items()] for day in days]
        eventually(partial(lambda it: page.run(_TABLE, "reviews_per_month")[1:] == it, shown))
        rated = {n: sum(day[f"stars_{n}"] for day in days) for n in range(1, 6)}
        eventually(partial(lambda it: stars_drawn(page) == it, rated))
    search.clear()
    search.send_keys("nobody" + Keys.ENTER)
    eventually(lambda: "There are no such rows." in card.text)


def test_the_map_has_the_groups_that_are_chosen(page: Page) -> None:
    card = page.element("answer-map")
    Select(card.find_element(By.NAME, "zoom")).select_by_value("6")
    Select(card.find_element(By.NAME, "hours")).select_by_visible_text("12")
    groups = get(page, "/v1/trips/groups?zoom=6&hours=12&limit=1000")["items"]
    shown = [as_read("trips", group["trips"]) for group in groups]
    eventually(lambda: [row[6] for row in page.run(_TABLE, "map")[1:]] == shown[:100])
    lines = page.served.client.get(
        str(card.find_element(By.LINK_TEXT, "CSV").get_attribute("href"))
    ).text.splitlines()
    assert len(lines) == 1 + len(groups[:100])


def test_the_average_of_deliveries_moves_while_it_is_looked_at(page: Page) -> None:
    moving = page.browser.find_element(By.CSS_SELECTOR, ".moving")
    average = get(page, "/v1/deliveries/average")
    eventually(lambda: f"over {average['successes']} deliveries" in moving.text)
    steps: Any = [
        {"Delivery Step": step, "Customer": 987654, "Timestamp": f"2026-01-01T12:{minute}:00"}
        for step, minute in ((1, "00"), (4, "50"))
    ]
    page.served.client.post(f"{page.served.address}/v1/deliveries", json=steps)
    eventually(lambda: f"over {average['successes'] + 1} deliveries" in moving.text)
    seconds = (average["average_seconds"] * average["successes"] + 50 * 60) / (
        average["successes"] + 1
    )
    assert moving.text.startswith(f"{round(seconds) // 60} min {round(seconds) % 60} s")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable_on_a_telephone_by_day_and_by_night(page: Page, scheme: str) -> None:
    chrome = page.browser
    chrome.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True},
    )
    feature = {"name": "prefers-color-scheme", "value": scheme}
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    try:
        for path in ("/", "/v1/tables", "/tables/rejected_records"):
            chrome.get(page.served.address + path)
            if path == "/":
                page.awaits_all()
            assert page.run("return document.documentElement.scrollWidth") == 390
            small, faint = page.run(_UNREADABLE)
            assert (small, faint) == ([], []), path
    finally:
        chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


# Texts of less than 11 px, and those whose contrast to what is behind them is less than 4.5.
_UNREADABLE = """
const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(
    v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4,
).reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
        const colour = parse(getComputedStyle(at).backgroundColor);
        if (colour.length === 3 || colour[3] === 1) return colour;
    }
    throw new Error("there is nothing behind it");
};
const small = [], faint = [];
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
    const text = texts.currentNode.textContent.trim(), element = texts.currentNode.parentElement;
    if (!text || element.closest("svg, script, noscript, template")) continue;
    if (!element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    if (parseFloat(style.fontSize) < 11) small.push(text);
    const [a, b] = [light(parse(style.color)), light(behind(element))].sort((a, b) => b - a);
    if ((a + 0.05) / (b + 0.05) < 4.5) faint.push(text);
}
return [small, faint];
"""


def test_by_keyboard_everything_is_reached_in_its_order_and_seen(page: Page) -> None:
    page.run("document.activeElement.blur(); window.scrollTo(0, 0)")
    reached = []
    for _ in range(200):
        page.browser.execute_cdp_cmd(
            "Input.dispatchKeyEvent", {"type": "keyDown", "key": "Tab", "windowsVirtualKeyCode": 9}
        )
        focused = page.run(_FOCUSED)
        if focused is None or focused in reached:
            break
        reached.append(focused)
    order = [place for place, *_ in reached]
    assert order == sorted(order)
    assert [name for _, _, is_seen, name in reached if not is_seen] == []
    assert [tag for _, tag, _, name in reached if not name] == []
    names = " ".join(name for *_, name in reached)
    assert reached[0][3] == "To the answers"
    for wanted in ("Tables", "rejected", "Region", "Values as a table", "CSV", "Send"):
        assert wanted in names


# What has the focus: where it is in the page, what it is, whether it shows it, and its name.
_FOCUSED = """
const element = document.activeElement;
if (element === document.body) return null;
const place = [...document.querySelectorAll("*")].indexOf(element);
const style = getComputedStyle(element);
const isSeen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
const labelled = document.getElementById(element.getAttribute("aria-labelledby"));
const label = labelled ?? element.labels?.[0] ?? element;
const name = element.getAttribute("aria-label") ?? label.textContent.trim();
return [place, element.tagName, isSeen, name];
"""
