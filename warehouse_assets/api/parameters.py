"""Parameters that several routes have, and the refusal of those that a route does not have.

One that is ignored gives another answer: `form=2014-10-01`, a slip for `from`, would otherwise be
answered with all days.
"""

from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from datetime import date
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import Query, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BeforeValidator
from starlette.datastructures import QueryParams

from warehouse_assets.api.problems import Refusal
from warehouse_assets.days import Days


def day_of(text: str) -> date:
    """A day, YYYY-MM-DD and nothing else.

    Raises:
        ValueError: it is no such day.
    """
    day = date.fromisoformat(text)
    if day.isoformat() != text:  # weeks are taken, too, by newer versions of Python
        raise ValueError("it is not YYYY-MM-DD")
    return day


_Day = Annotated[date, BeforeValidator(day_of)]
First = Annotated[_Day | None, Query(alias="from", description="First day.")]
"""The first day of a range that a request may name."""
Last = Annotated[_Day | None, Query(alias="to", description="Last day, included.")]
"""The last day of that range."""
Region = Annotated[str | None, Query(description="A region.", examples=["Prague"])]
"""The region that a request may name."""


def days_of(first: date | None, last: date | None) -> Days:
    """The range of days from `first` to `last`.

    Raises:
        Refusal: the first is after the last.
    """
    try:
        return Days(first, last)
    except ValueError as error:
        raise Refusal(422, f"The days cannot be used: {error}.", "from") from None


class StrictRoute(APIRoute):
    """A route that refuses parameters behind the `?` which it does not declare."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request: as any route, if its parameters are known."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            if request.scope["query_string"]:
                await _refuse_unknown(request)
            return await handle(request)

        return handle_strictly


async def _refuse_unknown(request: Request) -> None:
    """Refuse the request if it has parameters behind the `?` that its route does not declare.

    Which these are is what the description of the API tells.

    Raises:
        Refusal: there are such, or one is there more than once.
    """
    app = request.app
    # To make the description takes long enough for others to notice; then the application has it.
    described = app.openapi_schema or await run_sync(app.openapi)
    path = described["paths"].get(getattr(request.scope.get("route"), "path_format", ""), {})
    parameters = path.get(request.method.lower(), {}).get("parameters", ())
    check(request.query_params, [found["name"] for found in parameters if found["in"] == "query"])


def check(sent: QueryParams, known: Sequence[str]) -> None:
    """Refuse parameters that are not `known`, and those that are there more than once.

    Raises:
        Refusal: there are such.
    """
    there_are = f"there are: {', '.join(known)}" if known else "this address takes no parameters"
    errors = {}
    for name, times in Counter(name for name, _ in sent.multi_items()).items():
        if name not in known:
            errors[name] = f"There is no parameter {name!r}; {there_are}."
        elif times > 1:
            errors[name] = f"The parameter {name!r} is there {times} times; give it once."
    if errors:
        refusal = Refusal(422, " ".join(errors.values()))
        refusal.errors = [{"at": name, "reason": reason} for name, reason in errors.items()]
        raise refusal
