"""What a request may say; `test_auth.py` is about who may ask."""

from warehouse_assets_tests.api.serving import Served, assert_is_problem


def refused(served: Served, path: str, *words: str, method: str = "GET") -> list[str]:
    """The names of the parameters for which a request is refused; all `words` are said."""
    response = served.client.request(method, served.address + path)
    assert_is_problem(response, 422, *words)
    return [error["at"] for error in response.json()["errors"]]


def test_every_route_refuses_what_it_does_not_know_and_names_what_there_is(
    shared: Served,
) -> None:
    paths = shared.client.get(f"{shared.address}/openapi.json").json()["paths"]
    asked = [(path, *found) for path, methods in paths.items() for found in methods.items()]
    assert len(asked) >= 20
    for path, method, operation in asked:
        parameters = operation.get("parameters", [])
        known = [found["name"] for found in parameters if found["in"] == "query"]
        told = f"there are: {', '.join(known)}." if known else "takes no parameters."
        if "filters" in known:
            known.remove("filters")
            columns = "number, " if path == "/loads" else "year, week_number, votes"
            told = f"there are: {', '.join(known)}, and the columns {columns}"
        if "key" in known:
            told = "there are: year, week_number, since, until, limit."
        address = (
            path.replace("{name}", "outlier_weeks").replace("{", "").replace("}", "")
            + "?unheard-of=x"
        )
        assert refused(shared, address, "'unheard-of'", told, method=method) == ["unheard-of"]
    for path in ("/openapi.json", "/static/page.js"):
        refused(shared, f"{path}?v=1", "takes no parameters")
    assert shared.service.ingestions.all() == []
    head = shared.client.head(f"{shared.address}/answers?unheard-of=x")
    assert (head.status_code, head.content) == (422, b"")


def test_a_slip_and_what_is_there_twice_is_named(shared: Served) -> None:
    for path, name, word in [
        ("/product/B1?form=2014-10-01", "form", "from, to"),
        ("/product/B1/reviews?form=2014-10-01", "form", "from, to"),
        ("/user/A1?From=2014-10-01", "From", "from, to"),
        ("/answers/weekly_trips?area=Prague", "area", "region"),
        ("/answers/regions_with_cheap_mobile?limit=1", "limit", "format"),
        ("/trips/groups?hour=8", "hour", "hour_of_day"),
        ("/deliveries/average?format=csv", "format", "takes no parameters"),
        ("/trips/map.svg?format=json", "format", "region"),
        ("/metrics?=x", "", "takes no parameters"),
        ("/product/B1?from=2014-01-01&from=2015-01-01", "from", "2 times"),
        ("/product/B1/reviews?limit=1&limit=2", "limit", "2 times"),
        ("/trips/groups?region=Prague&region=Brno", "region", "2 times"),
        ("/answers/outlier_weeks?format=csv&format=json", "format", "2 times"),
    ]:
        assert refused(shared, path, word) == [name]
