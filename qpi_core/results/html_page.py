"""The parts of a report: one HTML file that holds no script and asks for nothing from outside; its own policy forbids both.

Every text is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
figure { display: inline-block; margin: 0 1rem 1rem 0; vertical-align: top; }
img { max-width: 100%; background: #fff; border-radius: 4px; }
table { border-collapse: collapse; margin-bottom: 1rem; }
th, td { text-align: left; padding: 0.2rem 1.2rem 0.2rem 0; border-bottom: 1px solid #8886; font-variant-numeric: tabular-nums; }
pre { overflow-x: auto; padding: 0.8rem; background: #8882; border-radius: 4px; font-size: 13px; }
figcaption, .small { opacity: 0.75; font-size: 13px; }
@media print {
  :root { color-scheme: light; }
  body { max-width: none; margin: 0; font-size: 10pt; }
  figure, tr { break-inside: avoid; }
  h2 { break-after: avoid; }
  td, pre { overflow-wrap: anywhere; white-space: pre-wrap; }
}
"""


def html_page(heading: str, parts: Sequence[str]) -> bytes:
    """Return a whole page of parts that are HTML already, in UTF-8."""
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(heading)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )
    return page.encode("utf-8", "replace")


def html_picture(content: bytes, title: str, caption: str) -> str:
    """Return a figure with a PNG picture inside the page."""
    picture = base64.b64encode(content).decode("ascii")
    return f'<figure><img alt="{escape(title)}" src="data:image/png;base64,{picture}"><figcaption>{escape(caption)}</figcaption></figure>'


def html_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table of texts."""
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table>"


def html_list(title: str, sentences: Sequence[str]) -> str:
    """Return a heading with a list of sentences, nothing where there are none."""
    if not sentences:
        return ""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<h2>{escape(title)}</h2>\n<ul>{items}</ul>"
