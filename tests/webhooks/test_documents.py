"""XML and JSON from anybody: what the platforms send is read, what is meant to hurt is refused."""

from __future__ import annotations

import time
from typing import Any

import pytest
import xmltodict

from growth_engine.channels.protocol import documents
from growth_engine.channels.protocol.documents import MOST_BYTES, Unreadable, read, read_json, read_xml, write

BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">'
    + b"".join(
        f'<!ENTITY lol{n} "{f"&lol{n - 1 if n > 1 else str()};" * 10}">'.encode() for n in range(1, 10)
    )
    + b"]><xml>&lol9;</xml>"
)


@pytest.mark.parametrize(
    "hostile",
    [
        BOMB,
        b'<!DOCTYPE xml SYSTEM "file:///etc/passwd"><xml/>',
        b'<!DOCTYPE xml [<!ENTITY e SYSTEM "file:///etc/passwd">]><xml>&e;</xml>',
        b'<!DOCTYPE xml [<!ENTITY % p SYSTEM "http://127.0.0.1/x"> %p;]><xml/>',
        b"<!DOCTYPE xml><xml/>",
        b"<xml>&undefined;</xml>",
        b"<a>" * 100_000,
        b"<a>" * 20 + b"</a>" * 20,
        b"<xml>" + b"<a/>" * 5000 + b"</xml>",
        b"<xml>" + b"x" * MOST_BYTES + b"</xml>",
        b"<xml><a></xml>",
        b"<xml/><xml/>",
        b"",
        b"\x00",
        b"<xml>\xff</xml>",
        b"<xml>\x00</xml>",
        "<xml>中</xml>".encode("utf-16"),
        b'{"a": ' * 2000,
        b"[" * 100_000,
        b"[]",
        b'"x"',
        b"{}{}",
        b'{"a": "\\u0000"}',
        b'{"\\u0000": 1}',
        b'{"a": "\\ud800"}',
        b'{"a": NaN}',
        b'{"a":' * 20 + b"1" + b"}" * 20,
        b'{"a":[' + b"1," * 5000 + b"1]}",
        b'{"a": "' + b"x" * MOST_BYTES + b'"}',
    ],
    ids=lambda data: data[:24].decode("latin-1"),
)
def test_hostile_documents_are_refused_at_once(hostile: bytes) -> None:
    started = time.thread_time()
    with pytest.raises(Unreadable):
        read(hostile)
    assert time.thread_time() - started < 0.25


def test_a_document_is_read_whatever_encoding_it_claims_because_both_write_utf8() -> None:
    data = '<?xml version="1.0" encoding="gbk"?><xml><a>中文</a></xml>'.encode()
    assert read_xml(data) == {"a": "中文"}
    assert read_xml(b"\xef\xbb\xbf<xml><a>1</a></xml>") == {"a": "1"}
    assert read_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_entities_of_xml_itself_cdata_and_numbers_are_read() -> None:
    data = b"<xml><a>&lt;&amp;&#20013;</a><b><![CDATA[<x>&amp;]]></b><c>7</c><d/><e>1</e><e>2</e></xml>"
    fields, form = read(data)
    assert form == "xml"
    assert fields.values == {"a": "<&中", "b": "<x>&amp;", "c": "7", "d": "", "e": ["1", "2"]}
    assert (fields.number("c"), fields.number("a"), fields.number("z")) == (7, None, None)
    assert fields.texts("e") == ["1", "2"]


def test_parts_are_read_alike_whether_there_is_one_or_more() -> None:
    one = read(b"<xml><L><T>1</T></L></xml>")[0].parts("L")
    two = read(b"<xml><L><T>1</T></L><L><T>2</T></L></xml>")[0].parts("L")
    assert [part.text("T") for part in one] == ["1"]
    assert [part.text("T") for part in two] == ["1", "2"]
    assert [part.text("T") for part in read(b'{"L": {"T": 1}}')[0].parts("L")] == ["1"]


@pytest.mark.parametrize("value", ["plain", "<b>&amp;", "]]>", "a]]>b]]>", "中文 🎉", "line\nbreak\ttab", ""])
def test_what_is_written_is_read_the_same_by_us_and_by_others(value: str) -> None:
    data = write("xml", {"Content": value, "Inner": {"N": 5}, "Articles": [{"T": value}]})
    assert read_xml(data)["Content"] == value
    assert (xmltodict.parse(data, strip_whitespace=False)["xml"]["Content"] or "") == value
    assert read_json(write("json", {"Content": value}))["Content"] == value


def test_characters_xml_cannot_hold_are_left_out() -> None:
    assert read_xml(write("xml", {"a": "x\x00\x1b\ud800\uffffy"}))["a"] == "xy"


def test_ids_longer_than_an_index_takes_are_refused() -> None:
    with pytest.raises(Unreadable):
        documents.Fields({"a": "x" * 129}).text("a", most=128)


@pytest.mark.parametrize("value", [None, True, [], {}, 1.5, "x"])
def test_numbers_are_whole_or_none(value: Any) -> None:
    assert documents.Fields({"n": value}).number("n") is None
