"""Charts as answers: as a picture, or as a specification that a page draws."""

from typing import Annotated, Any, Literal, get_args

from anyio import BrokenWorkerProcess
from fastapi import Path, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from warehouse_assets import charts
from warehouse_assets.api.problems import Refusal
from warehouse_assets.api.response import UNCHANGED, sent
from warehouse_assets.api.service import service_of

Kind = Literal["svg", "png", "json"]
MEDIA_TYPES = {"svg": "image/svg+xml", "png": "image/png", "json": "application/json"}
KIND = Annotated[
    str,
    Path(
        description="In which form.", json_schema_extra={"enum": [*MEDIA_TYPES]}, examples=["svg"]
    ),
]
"""What follows the name of a chart in its path; `kind_called` reads it."""
OF_CHART: Any = {
    200: {
        "description": "The chart: as SVG, as PNG of twice its size, or as a specification of "
        "Vega-Lite.",
        "content": {
            "image/svg+xml": {"schema": {"type": "string"}},
            "image/png": {"schema": {"type": "string", "format": "binary"}},
            "application/json": {"schema": {"type": "object"}},
        },
    },
    **UNCHANGED,
}
"""The description of a chart, for the `responses` of a route."""


class Styled(BaseModel):
    """The parameters of how a chart looks."""

    width: int = Field(
        charts.PLAIN.width,
        ge=charts.LEAST_WIDTH,
        le=charts.MOST_WIDTH,
        description="Its width, in pixels.",
    )
    theme: charts.Theme = Field("light", description="Its colours.")

    @property
    def style(self) -> charts.Style:
        """How it is to look."""
        return charts.Style(self.width, self.theme)


def kind_called(text: str) -> Kind:
    """What a chart is wanted as.

    Raises:
        Refusal: there is none of this kind.
    """
    for kind in get_args(Kind):
        if kind == text:
            found: Kind = kind
            return found
    raise Refusal(404, f"There is no chart as {text}; there are: {', '.join(MEDIA_TYPES)}.")


def specification_sent(request: Request, spec: bytes) -> Response:
    """The answer that has a specification."""
    return sent(request, spec, MEDIA_TYPES["json"])


async def drawn(request: Request, specified: Response, kind: Kind) -> Response:
    """The chart of an answer that has its specification.

    Raises:
        Refusal: the process that draws has ended.
    """
    if kind == "json":
        return specified
    try:
        picture = await charts.draw(bytes(specified.body), kind, service_of(request).drawing)
    except BrokenWorkerProcess:
        reason = "The process that draws has ended, maybe for want of memory. Ask again."
        raise Refusal(503, reason, Retry_After="1") from None
    return sent(request, picture, MEDIA_TYPES[kind])
