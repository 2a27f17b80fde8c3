"""The route of the families of data: what each has, how fresh it is, and what it rejected."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from urllib.parse import quote

import sqlalchemy as sa
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from warehouse_assets.api.database import Reading
from warehouse_assets.api.request import StrictRoute
from warehouse_assets.api.response import reply
from warehouse_assets.api.selection import url_of
from warehouse_assets.api.service import Service, service_of
from warehouse_assets.catalogue import ANSWERS, FAMILIES
from warehouse_assets.tables import REJECTED_RECORDS

router = APIRouter(prefix="/families", tags=["families"], route_class=StrictRoute)


class FamilyDescription(BaseModel):
    """A family of data."""

    name: str = Field(examples=["forum"])
    changed_at: datetime | None = Field(
        description="When its rows were last written to the lake; null if it has none here."
    )
    rejected: int | None = Field(
        description="Records that were rejected; null where the warehouse does not tell.",
        examples=[2],
    )
    rejected_url: str = Field(description="Where those are, each with its place and reason.")
    answers: list[str] = Field(description="Where its answers are.")
    tables: list[str] = Field(description="Where its tables are.")


class Families(BaseModel):
    """The families of data."""

    items: list[FamilyDescription]


@router.get("", response_model=Families)
async def families(request: Request) -> Response:
    """The families of data there are: answers and tables, freshness and rejected records."""
    service = service_of(request)
    rejected, changed = await _rejected(service), await service.freshness.changed()
    items, root = [], request.scope["root_path"]
    for name, tables in FAMILIES.items():
        moment = changed[name]
        loaded = [str(table.name) for table in tables if "made_from" in table.info]
        items.append(
            FamilyDescription(
                name=name,
                changed_at=None if moment is None else datetime.fromtimestamp(moment, timezone.utc),
                rejected=None if rejected is None else sum(rejected[source] for source in loaded),
                rejected_url=url_of(request, REJECTED_RECORDS, **{"source.in": ",".join(loaded)}),
                answers=[f"{root}/answers/{quote(str(asked.name))}" for asked in ANSWERS[name]],
                tables=[url_of(request, table) for table in tables],
            )
        )
    return reply(Families(items=items))


async def _rejected(service: Service) -> Mapping[str, int] | None:
    """How many records of each source were rejected; None where that is not published."""
    name, count = str(REJECTED_RECORDS.name), sa.func.count()
    if name not in (await service.database.published() or {}):
        return None
    by_source = sa.select(REJECTED_RECORDS.c.source, count).group_by(REJECTED_RECORDS.c.source)

    def read(reading: Reading) -> Sequence[tuple[str, int]]:
        return [(source, number) for source, number in reading.connection.execute(by_source)]

    return Counter(dict(await service.database.read([name], read)))
