"""Style sheets, scripts, icons: addresses by content, cached for a year, and complete."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from flask import Flask

from growth_engine.web.assets import ROOT, asset

REPOSITORY = Path(__file__).parents[3]
WEB = REPOSITORY / "growth_engine" / "web"


def test_a_file_is_served_unchanged_for_a_year(app: Flask) -> None:
    answer = app.test_client().get(asset("console.css"))
    assert answer.data == (ROOT / "console.css").read_bytes()
    assert answer.mimetype == "text/css"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_an_old_address_still_finds_the_file_but_not_for_a_year(app: Flask) -> None:
    answer = app.test_client().get("/static/000000000000/console.css")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=3600"


def test_text_is_sent_compressed_to_those_who_take_it(app: Flask) -> None:
    address = asset("vendor/tabler-core-1.6.1/tabler.min.css")
    packed = app.test_client().get(address, headers={"Accept-Encoding": "gzip, br"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"].startswith("Accept-Encoding")
    plain = app.test_client().get(address)
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data) / 5


def test_a_file_not_changed_since_is_not_sent_again(app: Flask) -> None:
    first = app.test_client().get(asset("phone.css"))
    again = app.test_client().get(asset("phone.css"), headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert again.data == b""


@pytest.mark.parametrize(
    "name", ["../web/errors.py", "%2e%2e/app.py", "..%2fapp.py", "nothing.css", "vendor", ""]
)
def test_nothing_outside_the_folder_is_served(app: Flask, name: str) -> None:
    assert app.test_client().get(f"/static/x/{name}").status_code in (404, 308)


def test_a_misspelt_file_is_a_mistake_seen_at_once() -> None:
    with pytest.raises(FileNotFoundError):
        asset("konsole.css")


def test_every_icon_used_is_in_the_sprite() -> None:
    there = set(re.findall(r'<symbol id="([^"]+)"', (ROOT / "icons.svg").read_text(encoding="utf-8")))
    used: set[str] = set()
    for path in WEB.rglob("*.html"):
        used |= set(re.findall(r'\bicon\("([a-z0-9-]+)"(?! ~)', path.read_text(encoding="utf-8")))
    for path in WEB.rglob("*.py"):
        used |= set(
            re.findall(
                r'NavItem\(\s*"[^"]+",\s*N_\("[^"]+"\),\s*"([a-z0-9-]+)"', path.read_text(encoding="utf-8")
            )
        )
    assert used
    assert used <= there, f"add to scripts/icons.txt and run scripts/vendor_assets.py: {sorted(used - there)}"


def test_every_vendored_package_has_its_licence_and_is_noted() -> None:
    note = (ROOT / "vendor" / "VENDORED.md").read_text(encoding="utf-8")
    folders = [path for path in (ROOT / "vendor").iterdir() if path.is_dir()]
    assert len(folders) == 4
    for folder in folders:
        assert any(path.name.startswith("LICENSE") for path in folder.iterdir()), folder
        assert folder.name.rsplit("-", 1)[1] in note
        assert not list(folder.rglob("*.map"))


def test_no_template_has_anything_inline() -> None:
    for path in WEB.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(
            r"<style|<[a-z][^>]*\sstyle=|\son[a-z]+=\"|javascript:|hx-on|hx-vals=.js:", text
        ), path
