"""The description of the API (OpenAPI): what routes declare, and what holds for all of them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from warehouse_assets.api.auth import WITHOUT_KEY
from warehouse_assets.api.problems import MEDIA_TYPE, Problem

Document = dict[str, Any]

_TAGS: Mapping[str, str] = {
    "answers": "What people ask: the rows, how they changed, and why they are what they are.",
    "tables": "Every table, by conditions on its columns, in any format.",
    "files": "What became of the lines of a file that was taken.",
    "families": "The families of data: answers and tables, freshness and rejected records.",
    "reviews": "What the reviews of a product or by a user come to, and they themselves.",
    "trips": "Trips per week of an area, and groups of similar trips.",
    "ingestions": "Files are sent, and what becomes of them is told.",
    "deliveries": "Steps of deliveries are sent, and the average duration is told.",
    "health": "Whether the service can answer, and its figures.",
    "service": "What the service offers.",
}
_SECURITY_SCHEMES: Document = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of `warehouse api-key`. Nobody needs one until there is one.",
    },
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same key in a header of its own.",
    },
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "As browsers ask for it: the key is the password of any name.",
    },
}
_WAIT = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
_CHALLENGE = {
    "WWW-Authenticate": {"description": "Basic and Bearer.", "schema": {"type": "string"}}
}
_REFUSALS: Mapping[str, tuple[str, Document]] = {
    "401": ("There is no key that the service knows.", _CHALLENGE),
    "403": ("A page of another site sends something, and CORS_ORIGINS does not name it.", {}),
    "404": ("There is nothing of that name or id.", {}),
    "408": ("Nothing of the body came for a minute.", {}),
    "410": ("What there was at that moment is no longer kept.", {}),
    "413": ("The body is too large.", {}),
    "415": ("A type of content that is not taken.", {}),
    "422": ("A value that cannot be used, or a parameter that there is not.", {}),
    "429": ("More requests than API_REQUESTS_PER_MINUTE allows.", _WAIT),
    "503": ("The warehouse, the lake or the inbox cannot be used now.", _WAIT),
    "507": ("No space is left on the disk of the service.", {}),
    "default": ("What is wrong and what to do.", {}),
}
_BYTES = "application/octet-stream"
# Schemas of FastAPI's own refusals, in whose place ours come.
_REPLACED = ("HTTPValidationError", "ValidationError")


def describe(app: FastAPI, found: Document) -> Document:
    """The whole description: `found`, which FastAPI makes of the routes, with what it lacks."""
    parts = found.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    for name in _REPLACED:
        schemas.pop(name, None)
    schemas["Problem"] = Problem.model_json_schema()
    parts["securitySchemes"] = _SECURITY_SCHEMES
    parts["responses"] = {_name_of(status): _refusal(status) for status in _REFUSALS}
    found["security"] = [*({name: []} for name in _SECURITY_SCHEMES), {}]
    for route, method, operation in _operations(app, found):
        _complete(route, method, operation)
    tags = (tag for _, _, operation in _operations(app, found) for tag in operation["tags"])
    found["tags"] = [
        {"name": tag, "description": _TAGS.get(tag.partition(" of ")[0], "")}
        for tag in dict.fromkeys(tags)
    ]
    return found


def _operations(app: FastAPI, found: Document) -> Iterator[tuple[APIRoute, str, Document]]:
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                yield route, method, found["paths"][route.path_format][method.lower()]


def _complete(route: APIRoute, method: str, operation: Document) -> None:
    path = route.path_format
    operation["operationId"] = _id_of(method, path)
    operation.setdefault("tags", ["service"])
    if route.summary is None:
        first, _, rest = operation["description"].partition("\n")
        operation["summary"], operation["description"] = first.rstrip("."), rest.strip()
    if path in WITHOUT_KEY:
        operation["security"] = []
    for parameter in operation.get("parameters", ()):
        _simplify(parameter)
    if body := operation.get("requestBody"):
        _simplify_body(body)
    responses = operation["responses"]
    for response in responses.values():
        for content in response.get("content", {}).values():
            if content.pop("itemSchema", None):  # of OpenAPI 3.2; this is 3.1
                content["schema"] = {"type": "string", "description": "Server-sent events."}
    is_page = any("text/html" in response.get("content", {}) for response in responses.values())
    for status in sorted(_statuses(path, method, operation)):
        responses[status] = (
            _refusal(status, is_page)
            if is_page
            else {"$ref": f"#/components/responses/{_name_of(status)}"}
        )


def _simplify(parameter: Document) -> None:
    """Say of a parameter that may be left out no more than that: it is never null.

    A form for trying is filled in with the example of what cannot be left out.
    """
    schema = parameter["schema"]
    some = [kind for kind in schema.pop("anyOf", ()) if kind.get("type") != "null"]
    for kind in some[:1]:
        schema.update(kind)
    if parameter.get("required") and "examples" in schema:
        parameter["example"] = schema["examples"][0]


def _simplify_body(body: Document) -> None:
    """Tell of a file by one type: for each, a client would have a body of its own."""
    content = body["content"]
    files = [kind for kind, each in content.items() if each["schema"].get("format") == "binary"]
    others = [kind for kind in files if kind != _BYTES]
    if _BYTES in files and others:
        body["content"] = {kind: each for kind, each in content.items() if kind not in others}
        body["description"] += f" As well as {_BYTES} it may be {', '.join(others)}."


def _statuses(path: str, method: str, operation: Document) -> set[str]:
    """With which statuses an operation refuses."""
    found = {"422", "default"}
    if path not in WITHOUT_KEY:
        found |= {"401", "429"}
    if path != "/health/live":
        found.add("503")
    if "{" in path:
        found.add("404")
    if {"as_of", "since"} & {each["name"] for each in operation.get("parameters", ())}:
        found.add("410")
    if method == "POST":
        found |= {"403", "408", "413", "507"}
    if "multipart/form-data" in operation.get("requestBody", {}).get("content", ()):
        found.add("415")
    return found | {status for status in operation["responses"] if status in _REFUSALS}


def _refusal(status: str, is_page: bool = False) -> Document:
    text, headers = _REFUSALS[status]
    content: Document = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    if is_page:  # who likes that best is told so
        content["text/html"] = {"schema": {"type": "string"}}
    return {"description": text, "content": content, **({"headers": headers} if headers else {})}


def _name_of(status: str) -> str:
    return f"Refusal{status.capitalize()}"


def _id_of(method: str, path: str) -> str:
    """The name of an operation: GET /answers/{name}/changes is get_answer_changes."""
    one_of_many = re.sub(r"s/\{[^}]*\}", "", path)
    words = re.findall(r"[a-z0-9]+", re.sub(r"\{[^}]*\}", "", one_of_many).lower())
    return "_".join([method.lower(), *(words or ["home"])])
