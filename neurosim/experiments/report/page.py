"""A page: Markdown and pictures as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import html
import io
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any

from jinja2 import Environment
from markdown_it import MarkdownIt

from neurosim.experiments import figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[bool], "Figure"]
PHONE = 640  # CSS pixels; a narrower page is shown the narrow drawing


@dataclass(frozen=True)
class Picture:
    """A figure, and a second drawing of it for narrow pages.

    Attributes
    ----------
    wide : str
        SVG.
    narrow : str or None
        SVG. None: on a narrow page the wide one is shown at its own size, to be scrolled.
    """

    wide: str
    narrow: str | None = None

    @classmethod
    def drawn(cls, draw: Draw) -> Picture:
        """Draw a figure twice; `draw` is told whether it is to be narrow."""
        with figures.defaults():
            return cls(_svg(draw(False)), _svg(draw(True)))


@dataclass(frozen=True)
class Page:
    """What a report says.

    Attributes
    ----------
    title : str
    text : str
        Markdown; ``![what it shows](name)`` stands for a picture.
    pictures : mapping of str to Picture
        By name.
    remarks : sequence of str
        On each of the second level's headings, to begin with; without, there are links to them
        alone, if they are more than two.
    """

    title: str
    text: str
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    remarks: Sequence[str] = ()


def as_html(page: Page) -> str:
    """Write a page as one file of HTML: no script, nothing loaded from anywhere."""
    files = resources.files("neurosim.experiments.report")
    template, style = ((files / name).read_text("utf-8") for name in ("page.html", "page.css"))
    body, headings = _body(page)
    remarks = list(zip(headings, page.remarks, strict=True)) if page.remarks else []
    made = Environment(autoescape=True, trim_blocks=True).from_string(template)
    return made.render(title=page.title, style=style, body=body, headings=headings, remarks=remarks)


def _body(page: Page) -> tuple[str, list[tuple[str, str]]]:
    """Render the text; and its second-level headings, with their anchors."""
    # A name or an error may hold anything: HTML in it stays text.
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    reader.add_render_rule("image", lambda _, tokens, at, *__: _image(tokens[at], page.pictures))
    reader.add_render_rule("table_open", lambda *_: '<div class="table"><table>\n')
    reader.add_render_rule("table_close", lambda *_: "</table></div>\n")
    tokens = reader.parse(page.text)
    headings: list[tuple[str, str]] = []
    taken: set[str] = set()
    for opening, inline in itertools.pairwise(tokens):
        if opening.type == "heading_open":
            anchor = _anchor(inline.content, taken)
            opening.attrSet("id", anchor)
            if opening.tag == "h2":
                headings.append((anchor, _words(inline)))
    return reader.renderer.render(tokens, reader.options, {}), headings


def _words(inline: Any) -> str:
    """What a heading says, without its marks."""
    return "".join(token.content for token in inline.children)


def _anchor(heading: str, taken: set[str]) -> str:
    """Where a link to a heading goes: to this one, of several that say the same."""
    anchor = re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-") or "part"
    numbered = (f"{anchor}-{k}" for k in itertools.count(2))
    found = next(name for name in itertools.chain([anchor], numbered) if name not in taken)
    taken.add(found)
    return found


def _image(token: Any, pictures: Mapping[str, Picture]) -> str:
    picture = pictures[str(token.attrs["src"])]
    words = html.escape(str(token.content), quote=True)
    image = f'<img src="{_inline(picture.wide)}" alt="{words}">'
    if picture.narrow is None:
        return f'<span class="picture scrolled">{image}</span>'
    narrow = f'<source media="(max-width: {PHONE}px)" srcset="{_inline(picture.narrow)}">'
    return f'<span class="picture"><picture>{narrow}{image}</picture></span>'


def _inline(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _svg(figure: Figure) -> str:
    # Letters are drawn as shapes: no font is looked for. Nothing changes with the day.
    from neurosim.drawing import matplotlib

    written = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "neurosim"}):
        figure.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue()
