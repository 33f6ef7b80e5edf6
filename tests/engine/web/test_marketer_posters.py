"""The poster editor: list, form and back, preview, check and publish."""

from __future__ import annotations

import io
import json
from html import unescape
from typing import Any

import pytest
from flask import Flask
from PIL import Image
from werkzeug.datastructures import MultiDict

from growth_engine.context import Parts
from growth_engine.posters import gallery, queries, service
from growth_engine.web.marketer import posters_editor_forms as forms
from tests.factories.console import Console, form_of
from tests.factories.workspaces import make_workspace


@pytest.fixture
def console(app: Flask, parts: Parts, workspace: str) -> Console:
    return Console(app, parts, workspace, "marketer")


def own(parts: Parts, workspace: str, slug: str = "mint") -> str:
    with parts.open(workspace) as ctx:
        return service.create_template(ctx, f"my-{slug}", "Mine", gallery.document(slug)).id


def newest(parts: Parts, workspace: str, template_id: str) -> Any:
    with parts.open(workspace) as ctx:
        return queries.versions(ctx, template_id)[0]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_page_renders_in_both_languages(
    console: Console, parts: Parts, workspace: str, lang: str
) -> None:
    console.get("/console/posters", lang=lang)
    template_id = own(parts, workspace)
    console.get("/console/posters", lang=lang)
    page = console.get(f"/console/posters/{template_id}", lang=lang)
    assert " style=" not in page
    for path in (f"/console/posters/{template_id}/picture.jpg", "/console/posters/ready/mint.jpg"):
        assert console.client.get(path).mimetype == "image/jpeg"
    console.get("/console/posters/ready/nothing.jpg", status=404)


def test_roles_and_workspaces_are_kept_apart(app: Flask, parts: Parts, workspace: str) -> None:
    template_id = own(parts, workspace)
    Console(app, parts, workspace, "sales").get("/console/posters", status=403)
    stranger = Console(app, parts, make_workspace(parts))
    form = {"document": json.dumps(gallery.document("mint"))}
    stranger.get(f"/console/posters/{template_id}", status=404)
    stranger.get(f"/console/posters/{template_id}/picture.jpg", status=404)
    for action in ("", "/preview", "/archive"):
        stranger.post(f"/console/posters/{template_id}{action}", form, status=404)
    assert newest(parts, workspace, template_id).version == 1


@pytest.mark.parametrize("slug", gallery.slugs())
def test_a_ready_document_comes_back_unchanged_from_the_form(slug: str) -> None:
    document = gallery.document(slug)
    form = forms.document_form(gallery.document(slug))
    assert forms.read(MultiDict({"document": form.packed})) == document


def test_the_page_sends_back_what_it_was_given(console: Console, parts: Parts, workspace: str) -> None:
    template_id = own(parts, workspace)
    form = form_of(console.get(f"/console/posters/{template_id}"))
    console.post(f"/console/posters/{template_id}", {**form, "do": "save"})
    assert newest(parts, workspace, template_id).version == 1, "nothing changed, so no version was made"


def test_a_copy_is_edited_previewed_saved_checked_and_published(
    console: Console, parts: Parts, workspace: str
) -> None:
    template_id = console.post("/console/posters/ready/mint/copy").headers["Location"].rsplit("/", 1)[1]
    form = form_of(console.get(f"/console/posters/{template_id}"))
    (text,) = [name for name, value in form.items() if value == "会员专享"]
    form |= {text: "街坊专享", "background-0": "#ffeedd", "name-en": "Ours"}
    preview = console.client.post(
        f"/console/posters/{template_id}/preview", data={**form, "csrf_token": console.csrf()}
    )
    assert "data:image/jpeg;base64," in preview.text
    assert newest(parts, workspace, template_id).version == 1, "a preview saves nothing"
    console.post(f"/console/posters/{template_id}", {**form, "do": "save"})
    saved = newest(parts, workspace, template_id)
    assert saved.spec["background"]["stops"][0] == "#ffeedd"
    assert "街坊专享" in json.dumps(saved.spec, ensure_ascii=False)
    assert "not published" in console.get(f"/console/posters/{template_id}")
    console.post(f"/console/posters/{template_id}", {**form, "do": "publish"})
    page = console.get(f"/console/posters/{template_id}")
    assert "in use" in page
    assert "Ours" in page


def test_a_poster_that_cannot_be_scanned_is_not_published(
    console: Console, parts: Parts, workspace: str
) -> None:
    template_id = own(parts, workspace)
    form = form_of(console.get(f"/console/posters/{template_id}"))
    index = next(n for n, layer in enumerate(gallery.document("mint")["layers"]) if layer["type"] == "qr")
    form |= {f"l{index}-dark": "#eeeeee", "do": "publish"}
    page = unescape(console.post(f"/console/posters/{template_id}", form, status=422).text)
    assert "too alike to be scanned" in page
    with parts.open(workspace) as ctx:
        assert queries.template(ctx, template_id).current_version == 0


def test_a_wrong_number_is_named_at_its_layer_and_kept(
    console: Console, parts: Parts, workspace: str
) -> None:
    template_id = own(parts, workspace)
    form = form_of(console.get(f"/console/posters/{template_id}")) | {"l5-size": "9999", "do": "save"}
    page = console.post(f"/console/posters/{template_id}", form, status=422).text
    assert "Must be between 12 and 300." in unescape(page)
    assert form_of(page)["l5-size"] == "9999"
    preview = console.client.post(
        f"/console/posters/{template_id}/preview", data={**form, "csrf_token": console.csrf()}
    )
    assert "Must be between 12 and 300." in unescape(preview.text)


def test_layers_are_moved_dropped_and_added_without_saving(
    console: Console, parts: Parts, workspace: str
) -> None:
    template_id = own(parts, workspace)
    form = form_of(console.get(f"/console/posters/{template_id}"))
    before = json.loads(form["document"])["layers"]
    for action, count in (("up:0", 0), ("drop:0", -1), ("add:text", 1), ("add:logo", 1), ("add:shape", 1)):
        page = console.post(f"/console/posters/{template_id}", {**form, "do": action}, status=200).text
        after = json.loads(form_of(page)["document"])["layers"]
        assert len(after) == len(before) + count
        assert "not saved yet" in page
    assert newest(parts, workspace, template_id).version == 1


def test_an_uploaded_picture_becomes_the_ground(console: Console, parts: Parts, workspace: str) -> None:
    template_id = own(parts, workspace)
    form = form_of(console.get(f"/console/posters/{template_id}")) | {"do": "save"}
    packed = io.BytesIO()
    Image.new("RGB", (800, 1400), "#336699").save(packed, "JPEG")
    packed.seek(0)
    console.post(f"/console/posters/{template_id}", {**form, "background-file": (packed, "a.jpg")})
    assert newest(parts, workspace, template_id).spec["picture"]
    broken = {**form, "background-file": (io.BytesIO(b"no picture"), "a.jpg")}
    console.post(f"/console/posters/{template_id}", broken, status=422)


@pytest.mark.parametrize("document", ["", "{", "[]", '{"layers": 1}', '{"layers": [{}], "background": 3}'])
def test_a_damaged_document_is_refused(console: Console, parts: Parts, workspace: str, document: str) -> None:
    template_id = own(parts, workspace)
    console.post(f"/console/posters/{template_id}", {"document": document, "do": "save"}, status=422)


def test_an_archived_template_is_offered_no_longer(console: Console, parts: Parts, workspace: str) -> None:
    template_id = own(parts, workspace)
    console.post(f"/console/posters/{template_id}/archive")
    assert f"/console/posters/{template_id}" not in console.get("/console/posters")
