"""The mail as a browser lays it out."""

import re
import shutil

import pytest

from rules.model import Language
from tests.support.example_mail import browse, example_mail

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (shutil.which("chromium") or shutil.which("google-chrome")), reason="no Chromium"),
]
MEASURE = """<script>
const wide = [...document.body.querySelectorAll("*")].filter(e => e.clientWidth && e.scrollWidth > e.clientWidth + 1);
document.title = "overflow:" + wide.map(e => e.tagName).join(",") + ";";
</script></body>"""


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("width", [320, 720], ids=["phone", "desktop"])
def test_nothing_runs_out_of_the_screen(language: Language, width: int) -> None:
    """Even a folder of 200 letters without a blank is wrapped on a phone."""
    html = example_mail(language, folder="/srv/" + "x" * 200).html
    # a headless window has at least 500 pixels: the body is made narrow instead
    html = html.replace('<body style="', f'<body style="width:{width - 32}px;', 1)
    page = browse(html.replace("</body>", MEASURE), "--dump-dom")
    found = re.search(r"overflow:([^;]*);", page)
    assert found is not None
    assert found[1] == ""
