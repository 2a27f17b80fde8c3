"""The page for people, and what it is made of; nothing of it comes from other hosts."""

from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.datastructures import QueryParams
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from warehouse_assets.api import parameters, problems
from warehouse_assets.api.deps import TheService
from warehouse_assets.api.formats import as_json
from warehouse_assets.api.published import sent

router = APIRouter(route_class=parameters.StrictRoute)

_STATIC = Path(__file__).parents[1] / "static"


class Offered(BaseModel):
    """What the service offers."""

    status: str = Field(description="Always alive.", examples=["alive"])
    product: str = Field(description="Where the reviews of a product are.")
    user: str = Field(description="Where the reviews by a user are.")
    answers: str = Field(description="Where the answers are listed.")
    ingestions: str = Field(description="Where files are sent to.")
    description: str = Field(description="The description of the API.")
    upload_limit: int = Field(description="Bytes that a file may have.")
    routes: list[str] = Field(examples=[["/product/{product_id}", "/answers"]])


_FRESH = {"Vary": "Accept", "Cache-Control": "no-cache"}


@router.get(
    "/",
    response_model=Offered,
    responses={
        200: {
            "description": "What the service offers; the page, for browsers.",
            "content": {"text/html": {"schema": {"type": "string"}}},
        },
        **problems.GUARDED,
    },
)
async def home(request: Request, service: TheService) -> Response:
    """What the service offers, which tells that it is alive; for browsers a page."""
    if "text/html" in request.headers.get("accept", "").lower():
        return FileResponse(_STATIC / "index.html", headers=_FRESH)
    offered = {
        "status": "alive",
        "product": f"{request.base_url}product/{{product_id}}",
        "user": f"{request.base_url}user/{{user_id}}",
        "answers": str(request.url_for("answers")),
        "ingestions": str(request.url_for("latest")),
        "description": str(request.url_for("openapi")),
        "upload_limit": service.settings.upload_limit,
        "routes": sorted(request.app.openapi()["paths"]),
    }
    return JSONResponse(offered, headers=_FRESH)


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    """The description of the API."""
    return sent(request, as_json(request.app.openapi()))


class _Static(StaticFiles):
    """Files, which take no parameters."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        parameters.check(QueryParams(scope["query_string"]), ())
        return await super().get_response(path, scope)


def add_static(app: FastAPI) -> None:
    """Serve the scripts, styles and pictures of the pages."""
    app.mount("/static", _Static(directory=_STATIC), name="static")
