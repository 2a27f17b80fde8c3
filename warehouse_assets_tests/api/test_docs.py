"""The description as a page, on which a person tries the API."""

from selenium import webdriver
from selenium.webdriver.common.by import By

from warehouse_assets_tests.api.serving import Served, eventually


def test_a_person_tries_a_route_without_any_other_host(
    browser: webdriver.Chrome, sampled: Served
) -> None:
    def shown(selector: str) -> list[str]:
        return [found.text for found in browser.find_elements(By.CSS_SELECTOR, selector)]

    browser.execute("getLog", {"type": "browser"})  # what former pages said
    browser.get(f"{sampled.address}/docs#/tables/get_table")
    eventually(lambda: shown(".opblock.is-open .execute"))
    described = sampled.client.get(f"{sampled.address}/openapi.json").json()["paths"]
    assert len(shown(".opblock")) == sum(map(len, described.values()))

    filters = browser.find_element(By.CSS_SELECTOR, ".opblock.is-open textarea")
    filters.clear()
    filters.send_keys('{"region": "Prague"}')
    browser.execute_script("document.querySelector('.opblock.is-open .execute').click()")
    eventually(lambda: shown(".opblock.is-open .live-responses-table .response-col_status"))
    status = shown(".opblock.is-open .live-responses-table .response-col_status")
    assert "200" in status[-1]
    (url,) = shown(".opblock.is-open .request-url pre")
    assert url == f"{sampled.address}/v1/tables/weekly_trips?region=Prague"

    loaded = browser.execute_script(
        "return performance.getEntriesByType('resource').map(found => new URL(found.name).origin)"
    )
    assert set(loaded) == {sampled.address}
    said = browser.execute("getLog", {"type": "browser"})["value"]
    assert [entry["message"] for entry in said if entry["level"] == "SEVERE"] == []
