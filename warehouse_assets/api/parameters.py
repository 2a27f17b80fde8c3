"""Refusing parameters that a route does not have: one that is ignored gives another answer.

`form=2014-10-01`, a slip for `from`, would otherwise be answered with all days.
"""

from collections import Counter
from collections.abc import Sequence

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams

from warehouse_assets.api.problems import Refusal


async def only_known(request: Request) -> None:
    """Refuse the request if it has parameters behind the `?` that its route does not declare.

    Which these are is what the description of the API tells.

    Raises:
        Refusal: there are such, or one is there more than once.
    """
    if not request.scope["query_string"]:
        return
    app = request.app
    # To make the description takes long enough for others to notice; then the application has it.
    described = app.openapi_schema or await run_in_threadpool(app.openapi)
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
