"""Documents point at things that are there: files, pictures and headings."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
#: Not ours, or made on this machine.
ELSEWHERE = {".venv", ".git", ".data", "node_modules", "vendor"}

LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
TAG = re.compile(r"<(?:img|a|source)\b[^>]*?\b(?:src|href|srcset)=\"([^\"]+)\"")
CODE = re.compile(r"^(```|~~~).*?^\1\s*$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*$", re.MULTILINE)


def documents() -> list[Path]:
    found = (path for path in ROOT.rglob("*.md") if not ELSEWHERE & set(path.relative_to(ROOT).parts))
    return sorted(
        path for path in found if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    )


def links(document: Path) -> list[str]:
    """Every link and picture outside code."""
    text = CODE.sub("", document.read_text(encoding="utf-8"))
    return LINK.findall(text) + TAG.findall(text)


@cache
def anchors(document: Path) -> frozenset[str]:
    """The names headings can be reached by, as GitHub makes them."""
    found: list[str] = []
    for heading in HEADING.findall(
        re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.M | re.S)
    ):
        plain = re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "", heading).lower()).replace(" ", "-")
        found.append(plain if plain not in found else f"{plain}-{found.count(plain)}")
    return frozenset(found)


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    broken = [link for link in links(document) if not _resolves(document, link)]
    assert not broken, f"{document.relative_to(ROOT)} points at nothing: {broken}"


def _resolves(document: Path, link: str) -> bool:
    if re.match(r"[a-z][a-z0-9+.-]*:", link):
        return True
    path, _, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    if not target.exists() or ROOT not in [target, *target.parents]:
        return False
    return not anchor or (target.suffix == ".md" and anchor in anchors(target))


def test_every_picture_is_used_and_small() -> None:
    used = {(doc.parent / link).resolve() for doc in documents() for link in links(doc) if ":" not in link}
    pictures = [path for path in (ROOT / "docs" / "images").glob("*") if path.is_file()]
    assert pictures
    for picture in pictures:
        assert picture in used, f"{picture.name} is shown nowhere"
        assert picture.stat().st_size < 200_000, f"{picture.name} has 200 KB or more"


def test_make_targets_named_in_documents_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9]+):", makefile, re.MULTILINE))
    for document in documents():
        text = document.read_text(encoding="utf-8")
        named = set(re.findall(r"`(?:[A-Z_]+=\S+ )*make ([a-z0-9]+)", text))
        named |= set(re.findall(r"^(?:[A-Z_]+=\S+ )*make ([a-z0-9]+)", text, re.MULTILINE))
        assert named <= targets, f"{document.relative_to(ROOT)}: {sorted(named - targets)}"
