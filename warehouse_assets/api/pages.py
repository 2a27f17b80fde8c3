"""The page for people, and what it is made of; nothing of it comes from other hosts."""

from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from warehouse_assets.api.deps import TheSettings

router = APIRouter()

_STATIC = Path(__file__).with_name("static")
_FRESH = {"Vary": "Accept", "Cache-Control": "no-cache"}


@router.get("/", include_in_schema=False)
def home(request: Request, settings: TheSettings) -> Response:
    """A page for browsers; what the service offers for everybody else."""
    if "text/html" in request.headers.get("accept", "").lower():
        return FileResponse(_STATIC / "index.html", headers=_FRESH)
    offered = {
        "ingestions": str(request.url_for("latest")),
        "description": str(request.url_for("openapi")),
        "upload_limit": settings.upload_limit,
        "routes": sorted(request.app.openapi()["paths"]),
    }
    return JSONResponse(offered, headers=_FRESH)


def add_static(app: FastAPI) -> None:
    """Serve the scripts, styles and pictures of the pages."""
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
