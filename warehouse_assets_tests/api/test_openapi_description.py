"""The description of the API is true: what is made from it meets no fault and no surprise."""

from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import CHECKS, load_all_checks

from warehouse_assets.api.app import build_app
from warehouse_assets_tests.api.reviewing import ReviewHouse
from warehouse_assets_tests.api.serving import NoRuns
from warehouse_assets_tests.defs.reviews.databases import review

load_all_checks()
_CHECKS: Any = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    ]
)
_FEW = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
_NOT_PUBLISHED = 503  # of tables that this test does not fill; it is described


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    house = ReviewHouse(tmp_path_factory.mktemp("described"), API_URL="http://testserver")
    house.take(
        review(number, productID="B000FA64PK", reviewerID="A1F6404F1VG29J") for number in range(5)
    )
    return build_app(house.settings, NoRuns())


def test_whatever_is_asked_by_the_description_is_answered_as_it_says(app: FastAPI) -> None:
    description = schemathesis.openapi.from_asgi("/openapi.json", app)
    asked = set()
    # Streams do not end by themselves.
    operations: Any = description.exclude(path_regex="/events$").get_all_operations()
    for operation in (found.ok() for found in operations):
        asked.add(operation.label)

        @_FEW
        @given(case=operation.as_strategy())
        def check(case: Any) -> None:
            response = case.call(allow_redirects=False)
            assert response.status_code != 400, response.text
            is_absent = response.status_code == _NOT_PUBLISHED
            case.validate_response(response, checks=_CHECKS[is_absent:])

        check()
    assert {"GET /product/{product_id}", "GET /answers/{name}", "POST /deliveries"} <= asked


def test_what_is_stored_is_answered_as_the_description_says(app: FastAPI) -> None:
    description = schemathesis.openapi.from_asgi("/openapi.json", app)
    operation: Any = description["/product/{product_id}/reviews"]["GET"]
    case = operation.Case(path_parameters={"product_id": "B000FA64PK"})
    response = case.call()
    case.validate_response(response, checks=_CHECKS)
    assert response.json()["items"][0]["reviewed_at"] == "2013-09-09T00:00:04"
