"""The HTML report: one file, figures inside, nothing that runs, every text as text."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser

import numpy as np
from PIL import Image

from qpi_core.results.report import report_html
from tests.results.test_files import make_estimate

NASTY = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'


class Page(HTMLParser):
    """What a browser would see: tags with their attributes, and the text."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(content.decode())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_report_is_self_contained_and_shows_the_pictures_and_numbers():
    estimate = make_estimate(uncertainty=np.full((8, 8), 0.1, np.float32), parameters={"wave_vector_rad_per_nm": (3.125, 0.004)})
    page = Page(report_html(estimate))
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == 4 and all(attributes["alt"] for attributes in pictures)
    for attributes in pictures:
        kind, _, data = attributes["src"].partition("base64,")
        assert kind == "data:image/png;"
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            assert min(picture.size) > 150
    for words in ("3.125", "0.004", "mäp.sxm", "pA", "import qpi_core", "0.3333333333333333,2.0", estimate.warnings[0][:20]):
        assert words in page.text, words


def test_texts_of_the_user_stay_texts():
    estimate = make_estimate(warnings=(NASTY,), provenance={"input": {"name": NASTY, "channel": NASTY, NASTY: NASTY}})
    page = Page(report_html(estimate, title=NASTY))
    assert not {"script", "link", "iframe", "object", "form"} & {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    sources = [attributes[name] or "" for _, attributes in page.tags for name in ("src", "href") if name in attributes]
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert page.text.count(NASTY) >= 4
    assert sum(tag == "img" for tag, _ in page.tags) == 3, "no picture of an uncertainty that is not there"
    policy = next(attributes["content"] for tag, attributes in page.tags if tag == "meta" and "http-equiv" in attributes)
    assert "default-src 'none'" in policy and "script" not in policy
