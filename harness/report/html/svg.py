"""Turns matplotlib's figures into SVG for the page.

The page's Content-Security-Policy forbids style attributes, so each becomes presentation
attributes. Black, white and the greys become the page's colours, which follow dark mode.
"""

import io
import re
from collections.abc import Mapping
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from harness.report.plot_style import GRID, INK

_COLOURS = {
    to_hex("black"): "currentColor",
    to_hex(INK): "currentColor",
    to_hex(GRID): "var(--line)",
    to_hex("white"): "var(--paper)",
}
_HREF = "{http://www.w3.org/1999/xlink}href"
_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
_DEFAULTS = {"fill": "currentColor", "stroke-linejoin": "round", "stroke-linecap": "butt"}
"""matplotlib omits a black fill, and has the other two in a style sheet."""


def figure_svg(figure: Figure, name: str, title: str, text: str) -> Markup:
    """Return a figure as an SVG element with a title and a description for screen readers.

    Args:
        figure: The figure.
        name: Starts every id in the element, so that ids are unique within the page.
        title: A short name.
        text: What the figure shows, in words.
    """
    root = _svg(figure, name)
    labels = {"title": f"{name}-title", "desc": f"{name}-text"}
    for index, (tag, value) in enumerate(zip(labels, (title, text), strict=True)):
        element = Element(tag, id=labels[tag])
        element.text = value
        root.insert(index, element)
    root.attrib |= {"class": "chart", "role": "img", "aria-labelledby": " ".join(labels.values())}
    return _markup(root)


def symbols_svg(figures: Mapping[str, Figure]) -> Markup:
    """Return an invisible SVG element that defines each figure as a symbol, by its id."""
    root = Element("svg", {"class": "symbols", "aria-hidden": "true"})
    for name, figure in figures.items():
        drawn = _svg(figure, name)
        symbol = SubElement(root, "symbol", drawn.attrib | {"id": name})
        symbol.extend(drawn)
    return _markup(root)


def _svg(figure: Figure, name: str) -> Element:
    """Return the figure as SVG without namespaces, styles, sizes and unused groups."""
    written = io.BytesIO()
    # The salt replaces a random one, so that equal figures give equal bytes.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(written, format="svg", transparent=True, metadata=_METADATA)
    drawn = ElementTree.fromstring(written.getvalue())
    root = Element("svg", {"viewBox": drawn.attrib["viewBox"]} | _DEFAULTS)
    for child in drawn:
        root.extend(_simplified(child, name))
    return root


def _simplified(element: Element, name: str) -> list[Element]:
    """Return an element for the page: nothing, itself, or the children of a bare group."""
    tag = element.tag.rpartition("}")[2]
    if tag in ("metadata", "style"):
        return []
    attributes = _attributes(tag, element.attrib, name)
    children = [simple for child in element for simple in _simplified(child, name)]
    if tag in ("g", "defs") and not (attributes and children):
        return children if tag == "g" else [_element("defs", {}, children)] if children else []
    made = _element(tag, attributes, children)
    made.text = element.text if tag == "text" else None
    return [made]


def _element(tag: str, attributes: Mapping[str, str], children: list[Element]) -> Element:
    element = Element(tag, dict(attributes))
    element.extend(children)
    return element


def _attributes(tag: str, attributes: Mapping[str, str], name: str) -> dict[str, str]:
    """Return an element's attributes: styles as attributes, short numbers, ids with a prefix."""
    kept: dict[str, str] = {}
    for key, value in attributes.items():
        if key == "style":
            pairs = (declaration.partition(":") for declaration in value.split(";"))
            kept |= {k.strip(): v.strip() for k, _, v in pairs if k.strip() != "font-family"}
        elif key == _HREF:
            kept["href"] = f"#{name}-{value[1:]}"
        elif key == "id":
            # Only groups have ids that nothing refers to.
            kept |= {} if tag == "g" else {"id": f"{name}-{value}"}
        elif not (key == "transform" and value.startswith("rotate(-0 ")):
            kept[key] = _short(value)
    kept = {key: re.sub(r"url\(#", f"url(#{name}-", value) for key, value in kept.items()}
    return {key: _COLOURS.get(value, value) for key, value in kept.items()}


def _short(numbers: str) -> str:
    """Return numbers with two decimals, without line breaks."""
    text = re.sub(r"-?\d+\.\d{3,}", lambda match: f"{float(match[0]):.2f}", numbers)
    return " ".join(text.split())


def _markup(root: Element) -> Markup:
    # ElementTree has escaped every text and attribute.
    return Markup(ElementTree.tostring(root, encoding="unicode"))
