"""Fields with their former names at addresses without a version."""

import json
from typing import Any

from warehouse_assets_tests.api.serving import Served


def both(served: Served, path: str) -> tuple[Any, Any]:
    """What is answered without the version and with it."""
    get = served.client.get
    return get(served.address + path).json(), get(f"{served.address}/v1{path}").json()


def test_lists_have_items_and_their_urls_the_form_that_was_asked_with(shared: Served) -> None:
    for path, name in (("/answers", "answers"), ("/tables", "items")):
        former, now = both(shared, path)
        assert list(now) == ["items", "next"]
        assert len(former[name]) == len(now["items"]) > 7
        for old, new in zip(former[name], now["items"], strict=True):
            assert new["url"] == f"/v1{path}/{new['name']}"
            without = json.loads(json.dumps(new).replace('"/v1/', '"/'))
            without["address"] = without.pop("url")
            assert without == old
    former, now = both(shared, "/families")
    assert [f"/v1{url}" for url in former["items"][0]["tables"]] == now["items"][0]["tables"]


def test_the_heading_of_csv_follows(shared: Served) -> None:
    for prefix, heading in (("", "name,question,address"), ("/v1", "name,question,url")):
        text = shared.client.get(f"{shared.address}{prefix}/answers?format=csv").text
        assert text.splitlines()[0] == heading
