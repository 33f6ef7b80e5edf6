"""Posters as pictures: right size, small, the same every time, readable by an independent scanner."""

from __future__ import annotations

import io
import json
import string
from collections.abc import Callable
from typing import Any

import pytest
import qrcode
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageOps
from qrcode import util

from growth_engine.kit.errors import GrowthError, Invalid
from growth_engine.posters import gallery, jpeg, qr, render, rules, scan
from growth_engine.posters.render import PictureUnreadable, PosterTooLarge, QrTooDense, Renderer
from growth_engine.posters.rules import Personal
from growth_engine.posters.schemas import load_template
from tests.engine.posters.conftest import LINK, photograph

HOSTILE = [
    "\u202egnp.exe\u202c",
    "a\x00b",
    "长" * 10_000,
    "\u200b\u200c\u200d\ufeff",
    "👨‍👩‍👧‍👦" * 30,
    "Z" + "\u0338\u0321" * 500,
    "﷽" * 20,
    "مرحبا 你好 สวัสดี 👋🏿",
    "𓀀𒀀",
    "{nickname}{reward}%(x)s<b>",
    "\ud83d",
]


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


@pytest.mark.parametrize("locale", rules.LOCALES)
@pytest.mark.parametrize("slug", gallery.slugs())
def test_every_ready_template_scans_back_in_both_languages(
    renderer: Renderer, slug: str, locale: rules.Locale
) -> None:
    for nickname, avatar in (("小鹿🦌", photograph()), ("Maximiliane von Hohenstein", None), (None, None)):
        personal = Personal(LINK, nickname=nickname, avatar=avatar, locale=locale)
        data = renderer.render(gallery.template(slug), personal)
        picture = opened(data)
        assert (picture.format, picture.size, picture.mode) == ("JPEG", (750, 1334), "RGB")
        assert len(data) <= 500_000
        found = zxingcpp.read_barcodes(picture)
        assert [one.text for one in found] == [LINK]


@pytest.mark.parametrize("slug", gallery.slugs())
def test_every_ready_template_passes_the_check_for_publishing(renderer: Renderer, slug: str) -> None:
    verification = scan.verify(renderer, gallery.template(slug))
    assert verification.problems == ()
    assert verification.decoded == 6


def test_there_are_at_least_six_ready_templates_named_in_both_languages() -> None:
    assert len(gallery.slugs()) >= 6
    for slug in gallery.slugs():
        assert set(gallery.template(slug).name) == {"zh", "en"}


@pytest.mark.parametrize("nickname", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_nickname_makes_a_proper_poster(renderer: Renderer, nickname: str) -> None:
    data = renderer.render(gallery.template("red-packet"), Personal(LINK, nickname=nickname, locale="en"))
    assert len(data) <= 500_000
    assert scan.decoded(opened(data)) == LINK


def test_nothing_of_a_nickname_is_drawn_outside_its_place(renderer: Renderer) -> None:
    template = gallery.template("red-packet")
    plain = renderer.compose(template, Personal(LINK, nickname="Li"))
    wild = renderer.compose(template, Personal(LINK, nickname="Ẑ̸̡" * 3 + "﷽" + "長" * 40))
    changed = ImageChops.difference(plain, wild).getbbox()
    assert changed is not None
    avatar, name = (
        layer.box for layer in template.layers if rules.is_personal(layer) and layer is not template.qr
    )
    left, top, right, bottom = changed
    assert top >= avatar.y
    assert bottom <= name.bottom + 20
    assert left >= name.x - 20
    assert right <= name.right + 20


def test_the_same_input_gives_the_same_bytes_in_another_process_too(renderer: Renderer) -> None:
    personal = Personal(LINK, nickname="小鹿🦌", avatar=photograph())
    first = renderer.render(gallery.template("bubble"), personal)
    for _ in range(3):
        renderer.render(gallery.template("bubble"), Personal(LINK + "?x=1", nickname="other"))
        assert renderer.render(gallery.template("bubble"), personal) == first
    assert Renderer(lambda key: b"").render(gallery.template("bubble"), personal) == first


@pytest.mark.parametrize("slug", gallery.slugs())
def test_a_poster_put_together_of_bands_is_the_poster_encoded_whole(renderer: Renderer, slug: str) -> None:
    """The speed of splicing costs not one bit."""
    personal = Personal(LINK, nickname="小鹿🦌 Ann", avatar=photograph())
    data = renderer.render(gallery.template(slug), personal)
    whole = renderer.compose(gallery.template(slug), personal)
    assert data == jpeg.encode(whole, 90)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 1333), st.integers(1, 300)), min_size=1, max_size=5))
def test_any_changed_rows_splice_to_the_same_bytes(spans: list[tuple[int, int]]) -> None:
    base = Image.linear_gradient("L").resize((750, 1334)).convert("RGB")
    changed = base.copy()
    for top, height in spans:
        changed.paste((200, 30, 90), (100, top, 600, min(1334, top + height)))
    bands = jpeg.bands_of([(top, top + height) for top, height in spans], 1334)
    strips = [(band, changed.crop((0, band.top, 750, band.bottom(1334)))) for band in bands]
    encoded = jpeg.Encoded.of(jpeg.encode(base, 80))
    assert jpeg.spliced(encoded, strips, 80) == jpeg.encode(changed, 80)


def test_a_name_without_consent_is_not_on_the_picture(renderer: Renderer) -> None:
    template = gallery.template("aurora")
    silent = renderer.compose(template, Personal(LINK, nickname=None))
    blank = renderer.compose(template, Personal(LINK, nickname="\u200b"))
    named = renderer.compose(template, Personal(LINK, nickname="Ann"))
    assert ImageChops.difference(silent, blank).getbbox() is None
    assert ImageChops.difference(silent, named).getbbox() is not None


def test_the_campaigns_own_words_replace_the_templates(renderer: Renderer) -> None:
    template = gallery.template("mint")
    layer = next(one for one in template.layers if isinstance(one, rules.TextLayer) and one.role == "reward")
    own = Personal(LINK, reward_text="七天")
    assert rules.words_of(layer, own, "") == "七天"
    assert rules.words_of(layer, Personal(LINK), "") == layer.text["zh"]
    difference = ImageChops.difference(
        renderer.compose(template, own), renderer.compose(template, Personal(LINK))
    )
    box = difference.getbbox()
    assert box is not None
    assert layer.box.y - 40 <= box[1]
    assert box[3] <= layer.box.bottom + 40


def test_a_broken_avatar_is_an_error_with_a_code(renderer: Renderer) -> None:
    with pytest.raises(PictureUnreadable):
        renderer.render(gallery.template("aurora"), Personal(LINK, avatar=b"GIF89a nonsense"))


# --- QR codes ---------------------------------------------------------------------------------------


def reference(content: str, level: qr.ErrorCorrection) -> list[list[bool]]:
    data = content.encode()
    code = qrcode.QRCode(
        version=qr.version_for(len(data), level),
        error_correction={"M": 0, "H": 2}[level],
        mask_pattern=qr.MASK,
    )
    code.add_data(util.QRData(data, mode=util.MODE_8BIT_BYTE), optimize=0)
    code.make(fit=False)
    return [[bool(dark) for dark in row] for row in code.modules]


token = st.text(string.ascii_lowercase + string.digits, min_size=12, max_size=12)
link = token.map("https://a.cn/i/{}".format)


@settings(max_examples=150)
@given(
    st.one_of(token.map(lambda t: f"https://a.cn/i/{t}"), st.text(min_size=1, max_size=60)),
    st.sampled_from("MH"),
)
def test_the_quick_code_is_module_for_module_the_librarys(content: str, level: Any) -> None:
    content = content.encode("utf-8", "ignore").decode() or "x"
    quick = qr.modules(content, level)
    assert quick.width == qr.side_of(content, level)
    rows = [[bool(quick.getpixel((x, y))) for x in range(quick.width)] for y in range(quick.height)]
    assert rows == reference(content, level)


@pytest.mark.parametrize("level", ["M", "H"])
@pytest.mark.parametrize("length", [1, 14, 62, 84, 120, 271, 512])
def test_codes_of_every_length_scan_back(level: qr.ErrorCorrection, length: int) -> None:
    content = ("https://a.cn/" + "k" * 600)[:length]
    code = ImageOps.invert(qr.modules(content, level).convert("L"))
    large = ImageOps.expand(code.resize((code.width * 4, code.height * 4)), 16, fill=255)
    assert scan.decoded(large) == content


def test_content_too_long_is_refused(renderer: Renderer) -> None:
    with pytest.raises(qr.ContentTooLong):
        qr.modules("x" * (qr.MAX_CONTENT + 1), "M")
    with pytest.raises(QrTooDense):
        renderer.render(gallery.template("aurora"), Personal("x" * 500))


def test_a_logo_over_the_code_raises_the_error_correction_and_still_scans() -> None:
    document = gallery.document("aurora")
    key = "ab/cd/abcd" + "0" * 60 + ".png"
    code = next(layer for layer in document["layers"] if layer["type"] == "qr")
    code["logo"] = key
    template = load_template(document)
    assert template.qr.error_correction == "H"
    renderer = Renderer({key: photograph(300, 200, "PNG", "RGBA")}.__getitem__)
    assert scan.verify(renderer, template).problems == ()


# --- What the check finds ---------------------------------------------------------------------------


def layer_of(document: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(layer for layer in document["layers"] if layer["type"] == kind)


def spoil_contrast(d: dict[str, Any]) -> None:
    layer_of(d, "qr")["dark"] = "#e0e0e0"


def spoil_inverted(d: dict[str, Any]) -> None:
    layer_of(d, "qr").update(dark="#ffffff", light="#000000")


def spoil_size(d: dict[str, Any]) -> None:
    layer_of(d, "qr")["box"] = [400, 900, 150, 150]


def spoil_quiet(d: dict[str, Any]) -> None:
    layer_of(d, "qr")["quiet_zone"] = 1


def spoil_cover(d: dict[str, Any]) -> None:
    box = layer_of(d, "qr")["box"]
    d["layers"].append({"type": "shape", "shape": "rectangle", "box": box, "fill": "#ff0000"})


def spoil_edge(d: dict[str, Any]) -> None:
    layer_of(d, "avatar")["box"] = [700, 900, 120, 120]


def spoil_text(d: dict[str, Any]) -> None:
    reward = next(layer for layer in d["layers"] if layer.get("role") == "reward")
    reward["text"] = {"zh": "很长" * 100, "en": "very long " * 29}


def spoil_text_contrast(d: dict[str, Any]) -> None:
    next(layer for layer in d["layers"] if layer.get("role") == "footnote")["fill"] = "#f5efe3"


def spoil_text_size(d: dict[str, Any]) -> None:
    next(layer for layer in d["layers"] if layer.get("role") == "footnote")["min_size"] = 12


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (spoil_contrast, "qr_contrast"),
        (spoil_inverted, "qr_inverted"),
        (spoil_size, "qr_too_small"),
        (spoil_quiet, "quiet_zone"),
        (spoil_cover, "covered"),
        (spoil_edge, "outside"),
        (spoil_text, "text_cut"),
        (spoil_text_contrast, "text_contrast"),
        (spoil_text_size, "text_too_small"),
    ],
)
def test_the_check_names_what_is_wrong(
    renderer: Renderer, spoil: Callable[[dict[str, Any]], None], code: str
) -> None:
    document = gallery.document("paper")
    spoil(document)
    verification = scan.verify(renderer, load_template(document))
    assert not verification.ok
    assert code in {problem.code for problem in verification.problems}
    assert json.dumps([problem.to_json() for problem in verification.problems])
    for problem in verification.problems:
        assert problem.message % problem.params


def test_a_code_under_the_name_is_found_by_reading_the_picture(renderer: Renderer) -> None:
    document = gallery.document("paper")
    name = next(layer for layer in document["layers"] if layer.get("role") == "nickname")
    x, y, w, h = layer_of(document, "qr")["box"]
    name.update(box=[x, y + 60, w, h - 120], size=150, min_size=120, weight=900)
    document["layers"].remove(name)
    document["layers"].append(name)
    found = {problem.code for problem in scan.verify(renderer, load_template(document)).problems}
    assert {"unreadable", "covered"} <= found


def test_a_noisy_background_is_encoded_smaller_and_else_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    key = "ab/cd/abcd" + "2" * 60 + ".png"
    template = load_template({**gallery.document("paper"), "picture": key})
    out = io.BytesIO()
    noise = [Image.effect_noise((750, 1334), 160) for _ in range(3)]
    Image.merge("RGB", noise).save(out, "PNG")
    data = Renderer({key: out.getvalue()}.__getitem__).render(template, Personal(LINK))
    assert len(data) <= 500_000
    assert scan.decoded(opened(data)) == LINK
    monkeypatch.setattr(render, "_QUALITIES", (100,))
    with pytest.raises(PosterTooLarge, match="500000"):
        Renderer({key: out.getvalue()}.__getitem__).render(template, Personal(LINK))


def test_a_missing_background_picture_is_a_problem_not_a_crash() -> None:
    def gone(key: str) -> bytes:
        raise GrowthError("gone", code="picture_not_found")

    document = {**gallery.document("paper"), "picture": "ab/cd/abcd" + "3" * 60 + ".png"}
    verification = scan.verify(Renderer(gone), load_template(document))
    assert "picture_not_found" in {problem.code for problem in verification.problems}


# --- Documents --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"background": "red"}, ("background",)),
        ({"background": {"stops": ["#000000"]}}, ("background", "stops")),
        ({"name": {"zh": "只有中文"}}, ("name",)),
        ({"unknown": 1}, ("unknown",)),
        ({"layers": []}, ("layers",)),
        ({"picture": "../../etc/passwd"}, ("picture",)),
        ({"layers": [{"type": "video", "box": [0, 0, 1, 1]}]}, ("layers", 0, "type")),
        ({"layers": [{"type": "qr", "box": [0, 0, "1", 1]}]}, ("layers", 0, "box")),
        ({"layers": [{"type": "qr", "box": [9000, 0, 1, 1]}]}, ("layers", 0, "box")),
        ({"layers": [{"type": "avatar", "box": [0, 0, 99, 99]}]}, ("layers",)),
        ({"layers": [7]}, ("layers", 0)),
    ],
)
def test_a_wrong_document_is_refused_with_the_place(change: dict[str, Any], where: tuple[Any, ...]) -> None:
    with pytest.raises(Invalid) as refused:
        load_template({**gallery.document("paper"), **change})
    found = refused.value.extra["errors"]
    for step in where:
        found = found[step]
    assert found


def test_a_template_is_recognised_by_its_document() -> None:
    one, other = gallery.document("paper"), gallery.document("paper")
    assert load_template(one) == load_template(other)
    assert hash(load_template(one)) == hash(load_template(other))
    other["background"] = "#000000"
    assert load_template(one) != load_template(other)


def test_a_nickname_that_looks_like_a_placeholder_stays_as_it_is() -> None:
    layer = rules.TextLayer(
        box=rules.Box(0, 0, 1, 1),
        role="label",
        text={"zh": "{nickname}：{reward}", "en": "{nickname}: {reward}"},
        anonymous={},
        fill=rules.Paint(("#000000",)),
        size=20,
        min_size=18,
    )
    personal = Personal(LINK, reward_text="30 天")
    assert rules.words_of(layer, personal, "{reward}") == "{reward}：30 天"
    assert rules.words_of(layer, personal, "") == "你的好友：30 天"
