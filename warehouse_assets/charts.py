"""Charts of answers: Vega-Lite, from a declaration, the rows of the answer, and a theme.

A declaration is Vega-Lite as plain data, without the data themselves: these are the rows of the
answer, and where it says `"data": {"name": TABLE}` those of another table. `usermeta.first_rows`
says that only so many rows are shown, the first ones in the order of the answer.

What draws is a whole JavaScript engine. It holds Python's lock while it draws, and takes its
process down with it where a text has what XML cannot hold: so it has a process of its own.
"""

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import anyio
from anyio.to_process import run_sync

from warehouse_assets.questions import Chart
from warehouse_assets.values import plain

Theme = Literal["light", "dark"]
Picture = Literal["svg", "png"]
PICTURES: Sequence[Picture] = get_args(Picture)
LEAST_WIDTH, MOST_WIDTH = 240, 2000
"""How wide a chart may be, in pixels."""
MOST_ROWS = 50_000
"""Of more rows no chart is drawn, if it does not show the first ones only."""


@dataclass(frozen=True)
class Style:
    """How a chart is to look.

    Args:
        width: of all of it, in pixels.
    """

    width: int = 720
    theme: Theme = "light"


PLAIN = Style()
"""How a chart looks of which nothing else is said."""


Data = Callable[[str | None], Mapping[str, Any]]
"""Vega-Lite's `data` of the answer, and of a table that the chart names beside it."""

SAID: Chart = {
    "tooltip": {"field": "said", "type": "nominal"},
    "description": {"field": "said", "type": "nominal"},
}
"""The encoding of a mark of which `said` is what is said, to who points at it or listens."""

WEEKS: Chart = {
    "x": {
        "field": "week_start",
        "type": "temporal",
        "bin": "binned",
        "scale": {"type": "utc"},
        "title": None,
    },
    "x2": {"field": "week_end"},
    **SAID,
}
"""The encoding of bars as wide as their weeks; the bars need the transforms of `weeks`."""

_VERSION = "6.4"
_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TITLE_PIXELS, _TEXT_PIXELS = 15, 12
_WIDTH_OF_A_LETTER = 0.56  # of its height
_WIDTH_IN_A_LEGEND = 180
_LEAST_WIDTH_OF_A_FACET, _MOST_FACETS_IN_A_ROW = 300, 3
_BESIDE_A_FACET = 62  # its axis, its labels and what is between two of them

# Okabe and Ito's colours, which people with any colour vision can tell apart.
_COLOURS: Mapping[Theme, Sequence[str]] = {
    "light": ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8f8f2f"),
    "dark": ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#9aa0d8"),
}
_OTHERS = "#8c8c8c"
# Background, words, quieter words, lines.
_SHADES: Mapping[Theme, tuple[str, str, str, str]] = {
    "light": ("#ffffff", "#222222", "#555555", "#dddddd"),
    "dark": ("#16181c", "#e8e8e8", "#b4b8bf", "#363a41"),
}


def weeks(said: str) -> list[Chart]:
    """The transforms that `WEEKS` needs.

    Args:
        said: an expression for what is said of a week when its bar is pointed at.
    """
    begins = "'Week of ' + utcFormat(datum.week_start, '%Y-%m-%d')"
    return [
        {"calculate": "toDate(datum.week_start) + 6.0 * 864e5", "as": "week_end"},
        {"calculate": f"{begins} + ': ' + {said}", "as": "said"},
    ]


def _config(style: Style) -> dict[str, Any]:
    theme, columns = style.theme, max(1, style.width // _WIDTH_IN_A_LEGEND)
    background, words, quiet, line = _SHADES[theme]
    labels = {"labelColor": quiet, "labelFontSize": _TEXT_PIXELS}
    titles = {"titleColor": words, "titleFontSize": _TEXT_PIXELS, "titleFontWeight": "normal"}
    marks = {name: {"color": _COLOURS[theme][0]} for name in ("bar", "line", "point", "circle")}
    return {
        "background": background,
        "font": "Arial, Liberation Sans, Helvetica, sans-serif",
        "padding": 8,
        "view": {"stroke": None, "continuousHeight": 260},
        "mark": {"tooltip": True},
        **marks,
        "rule": {"color": quiet},
        "text": {"color": words, "fontSize": _TEXT_PIXELS},
        "axis": {
            **labels,
            **titles,
            "labelLimit": 150,
            "labelOverlap": True,
            "labelSeparation": 8,
            "gridColor": line,
            "domainColor": line,
            "tickColor": line,
        },
        "axisY": {"titleAngle": 0, "titleAlign": "left", "titleAnchor": "end", "titleY": -6},
        "header": {**labels, **titles},
        "legend": {**labels, **titles, "orient": "bottom", "columns": columns, "labelLimit": 200},
        "range": {"category": [*_COLOURS[theme], _OTHERS]},
        "title": {
            "anchor": "start",
            "frame": "bounds",
            "offset": 16,
            "color": words,
            "fontSize": _TITLE_PIXELS,
            "subtitleColor": quiet,
            "subtitleFontSize": _TEXT_PIXELS,
        },
    }


def first_rows(chart: Chart) -> int | None:
    """How many rows a chart shows at most; None if it shows all."""
    found: int | None = chart.get("usermeta", {}).get("first_rows")
    return found


def tables_named(chart: Chart) -> list[str]:
    """The tables whose rows a chart shows beside those of its answer."""
    names: list[str] = []

    def note(name: str | None) -> Mapping[str, Any]:
        names.extend([name] if name else [])
        return {}

    _with_data(chart, note)
    return list(dict.fromkeys(names))


def values_of(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Vega-Lite's `data` that has rows in it."""
    return {"values": [dict(zip(names, map(_printable, row), strict=True)) for row in rows]}


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", value)
    return plain(value)


def specification(
    chart: Chart, title: str, data: Data, style: Style = PLAIN, note: str = ""
) -> dict[str, Any]:
    """A whole specification of Vega-Lite.

    Args:
        note: what is said below the title.

    Raises:
        TypeError: the declaration has data, or would fetch something.
    """
    letters = style.width / (_WIDTH_OF_A_LETTER * _TITLE_PIXELS)
    shown = dict(_with_data(chart, data))
    if "facet" in shown:
        columns = max(1, min(_MOST_FACETS_IN_A_ROW, style.width // _LEAST_WIDTH_OF_A_FACET))
        size = style.width // columns - _BESIDE_A_FACET
        shown["columns"] = columns
        shown["spec"] = {"width": size, "height": size, **shown["spec"]}
    else:
        shown["width"] = style.width
        shown["autosize"] = {"type": "fit-x", "contains": "padding"}
    return {
        "$schema": _SCHEMA,
        "description": title,
        "title": {
            "text": textwrap.wrap(title, int(letters)),
            **({"subtitle": note} if note else {}),
        },
        "config": _config(style),
        "data": data(None),
        **shown,
    }


def _with_data(chart: Chart, data: Data) -> Mapping[str, Any]:
    """A declaration with the data that it names."""
    if "data" in chart:
        raise TypeError("A chart shows the rows of its answer; it names no data for itself.")

    def filled(key: str, part: Any) -> Any:
        if key == "url":
            raise TypeError("A chart fetches nothing: no part of it may have a url.")
        if key == "data":
            if not isinstance(part, Mapping) or [*part] != ["name"]:
                raise TypeError(f'Data of a chart are {{"name": TABLE}}, and not {part!r}.')
            return data(part["name"])
        if isinstance(part, Mapping):
            return {name: filled(name, inner) for name, inner in part.items()}
        return [filled("", inner) for inner in part] if isinstance(part, list) else part

    return {name: filled(name, part) for name, part in chart.items()}


async def draw(
    specified: bytes, kind: Picture, limiter: anyio.CapacityLimiter | None = None
) -> bytes:
    """The picture of a specification, drawn in a process that has no other work.

    The first takes that process a second to start and about 110 MB; it then waits for the next.

    Args:
        specified: the specification as JSON.
        limiter: how many processes there are at most.

    Raises:
        ValueError: the specification is wrong; the message is Vega-Lite's.
    """
    import vl_convert  # 13 MB that only those need who draw

    # Nothing is fetched, also not the fonts that texts are measured with.
    given: Any = {"vl_version": _VERSION, "allowed_base_urls": []}
    spec = specified.decode()
    if kind == "svg":
        convert = partial(vl_convert.vegalite_to_svg, **given)
        return (await run_sync(convert, spec, limiter=limiter)).encode()
    return await run_sync(
        partial(vl_convert.vegalite_to_png, scale=2, **given), spec, limiter=limiter
    )
