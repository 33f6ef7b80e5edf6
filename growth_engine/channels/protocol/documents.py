"""XML and JSON as the platforms send them: read safely from anybody, written as they expect it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal
from xml.parsers import expat

import orjson

from growth_engine.kit.errors import GrowthError
from growth_engine.kit.i18n import N_

Form = Literal["xml", "json"]

#: Nothing the platforms send comes near these; what does is meant to hurt.
MOST_BYTES = 128 * 1024
DEEPEST = 16
MOST_ELEMENTS = 4000

# XML 1.0 has no way to write these.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Unreadable(GrowthError):
    """The document is broken, too large, or uses what no platform uses (a DTD, entities)."""

    code = "unreadable"
    status = 400
    message = N_("The content cannot be read.")


class Fields:
    """The named values of a document, or of a part of it; what has another shape counts as missing."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, default: str = "", *, most: int = 0) -> str:
        """A string; numbers are written out (JSON has some where XML has text). ``most`` characters, or
        Unreadable: names and ids end up in indexes."""
        value = self._values.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            return default
        if most and len(value) > most:
            raise Unreadable
        return value

    def number(self, name: str) -> int | None:
        """A whole number, as number or text; None when it is missing or none."""
        value = self._values.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and len(value) <= 18 and value.isascii() and value.isdigit():
            return int(value)
        return None

    def part(self, name: str) -> Fields:
        value = self._values.get(name)
        return Fields(value if isinstance(value, Mapping) else {})

    def parts(self, name: str) -> list[Fields]:
        """A repeated part: one or several elements of that name in XML, an object or a list in JSON."""
        value = self._values.get(name)
        several = value if isinstance(value, list) else [value]
        return [Fields(one) for one in several if isinstance(one, Mapping)]

    def texts(self, name: str) -> list[str]:
        value = self._values.get(name)
        several = value if isinstance(value, list) else [value]
        return [str(one) for one in several if isinstance(one, str | int) and one != ""]

    @property
    def values(self) -> Mapping[str, Any]:
        return self._values


def form_of(data: bytes) -> Form:
    """Which form a document has; ``read`` will say whether it is one."""
    return "json" if data.lstrip(b" \t\r\n\xef\xbb\xbf")[:1] == b"{" else "xml"


def canonical(values: Mapping[str, Any]) -> str:
    """The same text for the same values, whatever their order."""
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode()


def read(data: bytes) -> tuple[Fields, Form]:
    """A document in either form; raises Unreadable."""
    form = form_of(data)
    return Fields(read_json(data) if form == "json" else read_xml(data)), form


def read_json(data: bytes) -> dict[str, Any]:
    """A JSON object without anything a database could not keep."""
    if len(data) > MOST_BYTES:
        raise Unreadable
    try:
        value = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        raise Unreadable from None
    if not isinstance(value, dict):
        raise Unreadable
    for count, (depth, one) in enumerate(_walk(value)):
        if count > MOST_ELEMENTS or depth > DEEPEST or (isinstance(one, str) and "\0" in one):
            raise Unreadable
    return value


def _walk(value: Any) -> Iterator[tuple[int, Any]]:
    """Every key and value with its depth, without recursion."""
    left = [(0, value)]
    while left:
        depth, one = left.pop()
        yield depth, one
        if isinstance(one, dict):
            left += [(depth + 1, key) for key in one]
            left += [(depth + 1, each) for each in one.values()]
        elif isinstance(one, list):
            left += [(depth + 1, each) for each in one]


def read_xml(data: bytes) -> dict[str, Any]:
    """The children of the root element: text by name, a dict where an element has children of its own, a
    list where a name repeats. Refuses every DTD, and with it entities of its own and files from elsewhere.
    """
    if len(data) > MOST_BYTES:
        raise Unreadable
    try:
        text = data.decode("utf-8-sig")  # whatever the document claims: both platforms write UTF-8
    except UnicodeDecodeError:
        raise Unreadable from None
    tree = _Tree()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.data
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError:
        raise Unreadable from None
    return tree.root


def _refuse(*_: object) -> int:
    raise Unreadable


class _Tree:
    """What expat calls while it reads."""

    def __init__(self) -> None:
        self.root: dict[str, Any] = {}
        self._open: list[dict[str, Any]] = []
        self._texts: list[list[str]] = []
        self._count = 0

    def start(self, _name: str, _attributes: Mapping[str, str]) -> None:
        self._count += 1
        if len(self._open) >= DEEPEST or self._count > MOST_ELEMENTS:
            raise Unreadable
        self._open.append({})
        self._texts.append([])

    def data(self, text: str) -> None:
        if self._texts:
            self._texts[-1].append(text)

    def end(self, name: str) -> None:
        children, text = self._open.pop(), "".join(self._texts.pop())
        if not self._open:
            self.root = children
            return
        value: Any = children or text
        above = self._open[-1]
        if name not in above:
            above[name] = value
        elif isinstance(above[name], list):
            above[name].append(value)
        else:
            above[name] = [above[name], value]


def write(form: Form, values: Mapping[str, Any]) -> bytes:
    """``values`` as a document: texts, whole numbers, mappings, and lists (in XML elements ``item``)."""
    if form == "json":
        return orjson.dumps(values)
    return f"<xml>{_xml(values)}</xml>".encode()


def _xml(values: Mapping[str, Any]) -> str:
    return "".join(f"<{name}>{_xml_value(value)}</{name}>" for name, value in values.items())


def _xml_value(value: Any) -> str:
    if isinstance(value, Mapping):
        return _xml(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "".join(f"<item>{_xml_value(one)}</item>" for one in value)
    if isinstance(value, int):
        return str(value)
    text = _UNWRITABLE.sub("", str(value)).replace("]]>", "]]]]><![CDATA[>")
    return f"<![CDATA[{text}]]>"
