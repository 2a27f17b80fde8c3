"""Elements of SVG pictures that every picture here shares: frame, colours, texts."""

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, tostring

# Okabe and Ito's colours, which people with any colour vision can tell apart.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8f8f2f")
OTHER_COLOUR = "#8c8c8c"

# A picture shown on its own, or by <img>, follows the reader's choice of light and dark.
_STYLE = """
svg { font: 13px system-ui, sans-serif; fill: #222; background: #fff; }
.title { font-size: 17px; font-weight: 600; }
.faint { fill: #666; }
.rule { stroke: #ddd; stroke-width: 1; fill: none; }
.panel { fill: #f6f7f9; stroke: #ddd; }
@media (prefers-color-scheme: dark) {
  svg { fill: #e8e8e8; background: #16181c; }
  .faint { fill: #a0a4ab; }
  .rule { stroke: #363a41; }
  .panel { fill: #1d2026; stroke: #363a41; }
}
"""


def picture(width: int, height: int, title: str, description: str) -> Element:
    """An empty picture, `width` by `height` pixels, with its title above."""
    root = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width} {height}",
            "width": str(width),
            "height": str(height),
            "role": "img",
        },
    )
    SubElement(root, "title").text = title
    SubElement(root, "desc").text = description
    SubElement(root, "style").text = _STYLE
    text(root, 16, 26, title, css="title")
    return root


def shape(parent: Element, kind: str, hint: str = "", **attributes: object) -> Element:
    """A shape of the given kind; `hint` is shown when it is pointed at."""
    values = {name.replace("_", "-"): _text(value) for name, value in attributes.items()}
    element = SubElement(parent, kind, values)
    if hint:
        SubElement(element, "title").text = hint
    return element


def text(
    parent: Element, x: float, y: float, words: str, css: str = "", anchor: str = "start"
) -> None:
    """Words that begin, end or are centred at a place."""
    attributes: Mapping[str, str] = {"x": _text(x), "y": _text(y), "text-anchor": anchor}
    element = SubElement(parent, "text", dict(attributes))
    if css:
        element.set("class", css)
    element.text = printable(words)


def printable(words: str) -> str:
    """`words` without the characters that XML cannot hold."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)


def written(root: Element) -> str:
    """The picture as text."""
    return tostring(root, encoding="unicode")


def _text(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
