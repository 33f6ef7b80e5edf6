"""How people are named on pages others can read: a nickname with its middle hidden; pure."""

from __future__ import annotations

from growth_engine.people.rules import graphemes

_HIDDEN = "**"


def masked(nickname: str) -> str:
    """``小明`` becomes ``小**``, ``Alexandra`` becomes ``A**a``; empty stays empty."""
    letters = graphemes(nickname)
    if len(letters) < 4:
        return letters[0] + _HIDDEN if letters else ""
    return letters[0] + _HIDDEN + letters[-1]


def initial(nickname: str) -> str:
    """What stands in for a picture: the first character, capital where there are capitals."""
    letters = graphemes(nickname)
    # Some capitals are longer than one (ß); the round badge has room for one.
    first = letters[0].upper() if letters else ""
    return first if len(graphemes(first)) == 1 else "".join(letters[:1])


def masked_phone(phone: str) -> str:
    """``+8613812345678`` becomes ``+86 138 **** 5678``: enough to recognise one's own number."""
    if phone.startswith("+86") and len(phone) == 14:
        shown = f"+86 {phone[3:6]} **** {phone[-4:]}"
    else:
        shown = f"{phone[:4]} **** {phone[-2:]}"
    return shown.replace(" ", "\N{NO-BREAK SPACE}")
