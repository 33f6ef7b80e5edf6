"""What every page stands on: the parts, who is signed in, CSRF protection, the visitor's cookie, paging."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from flask import current_app, g, request
from werkzeug.wrappers import Response

from growth_engine.kit import i18n, pages
from growth_engine.kit.crypto import Signer, keyed_digest, same
from growth_engine.kit.errors import Forbidden, GrowthError, Unauthorized
from growth_engine.kit.i18n import N_

if TYPE_CHECKING:
    from growth_engine.context import Actor, Ctx, Parts

P = ParamSpec("P")
R = TypeVar("R")

EXTENSION = "growth"
LANGUAGE_COOKIE = "ge_lang"
VISITOR_COOKIE = "ge_visitor"
CSRF_FIELD = "csrf_token"
CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
#: Browsers cap cookies at 400 days (RFC 6265bis §5.5).
LONG_COOKIE_SECONDS = 400 * 24 * 3600
_CSRF_EXEMPT = "_growth_csrf_exempt"


class SignInNeeded(Unauthorized):
    """Nobody is signed in: pages lead to the sign-in page, programs get a 401."""

    code = "sign_in_needed"
    message = N_("Please sign in first.")


class CsrfRefused(Forbidden):
    code = "csrf_refused"
    message = N_("This page was open for too long, or cookies are blocked. Go back, reload it and try again.")


class BadRequest(GrowthError):
    code = "bad_request"
    status = 400
    message = N_("The request could not be understood.")


@dataclass(frozen=True, slots=True)
class Place:
    """The workspace a page is about, as far as every page needs it."""

    id: str
    slug: str
    name: str
    timezone: str
    locale: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The member of staff behind this request."""

    staff_id: str
    email: str
    name: str
    role: str
    locale: str
    session: str
    """Name of the session in the queue Redis (a hash, not the cookie)."""


# -- the parts and the actor -------------------------------------------------------------------------


def parts() -> Parts:
    return cast("Parts", current_app.extensions[EXTENSION])


def act_as(workspace_id: str, actor: Actor) -> None:
    """Say for whom this request works; ``ctx()`` opens its transaction there."""
    g.workspace_id = workspace_id
    g.actor = actor


@contextmanager
def ctx() -> Iterator[Ctx]:
    """One transaction for whoever this request works for; raises SignInNeeded when that is nobody."""
    if g.get("actor") is None:
        raise SignInNeeded
    with parts().open(g.workspace_id, g.actor) as opened:
        yield opened


def signed_in() -> SignedIn | None:
    return cast("SignedIn | None", g.get("signed_in"))


def place() -> Place | None:
    """The workspace this request is in; phone pages set ``g.place`` themselves, staff pages have it."""
    return cast("Place | None", g.get("place"))


def check_place() -> Place:
    here = place()
    if here is None:
        raise SignInNeeded
    return here


def zone() -> str:
    here = place()
    return here.timezone if here else "UTC"


def require_staff(*roles: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let only staff of these roles in (none named: any role); an admin may do everything."""

    def wrap(view: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            check_staff(roles)
            return view(*args, **kwargs)

        return guarded

    return wrap


def check_staff(roles: tuple[str, ...] = ()) -> SignedIn:
    who = signed_in()
    if who is None:
        raise SignInNeeded
    if roles and who.role != "admin" and who.role not in roles:
        raise Forbidden(
            N_("Your role does not include this page. Ask an administrator."), code="role_missing"
        )
    return who


# -- cookies of visitors -----------------------------------------------------------------------------


def visitor_id() -> str:
    """A random id of this browser, kept in a signed cookie: the device of a visitor without an account."""
    known: str | None = g.get("visitor_id")
    if known is None:
        value = _visitor_signer().unsign(request.cookies.get(VISITOR_COOKIE, ""))
        if isinstance(value, str) and 16 <= len(value) <= 64:
            known = value
        else:
            known = secrets.token_urlsafe(18)
            g.set_visitor_cookie = True
        g.visitor_id = known
    return known


def has_visitor_cookie() -> bool:
    """Whether this browser brought its id along: a program that keeps no cookies never does."""
    visitor_id()
    return not g.get("set_visitor_cookie")


def set_cookie(
    response: Response, name: str, value: str, *, max_age: int | None, http_only: bool = True
) -> None:
    """A cookie with the house's attributes: HttpOnly, SameSite=Lax, Secure under https, whole site."""
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        httponly=http_only,
        samesite="Lax",
        secure=parts().settings.secure_cookies,
        path="/",
    )


def keep_visitor(response: Response) -> Response:
    """After the request: remember a visitor who was given an id during it."""
    if g.get("set_visitor_cookie"):
        signed = _visitor_signer().sign(g.visitor_id)
        set_cookie(response, VISITOR_COOKIE, signed, max_age=LONG_COOKIE_SECONDS)
    return response


def _visitor_signer() -> Signer:
    return Signer(parts().settings.secret_key, "visitor")


# -- CSRF --------------------------------------------------------------------------------------------


def csrf_token() -> str:
    """The token forms carry: bound to this browser's cookie and to the session, so it dies with either."""
    who = signed_in()
    text = f"csrf:{visitor_id()}:{who.session if who else ''}"
    return keyed_digest(parts().settings.secret_key, text)


def csrf_exempt(view: Callable[P, R]) -> Callable[P, R]:
    """For endpoints that authenticate every request by themselves (signed webhooks)."""
    setattr(view, _CSRF_EXEMPT, True)
    return view


def check_csrf() -> None:
    """Before every request: an unsafe method of a page needs the token; the API has bearer tokens."""
    if request.method in SAFE_METHODS or request.endpoint is None or request.path.startswith("/api/"):
        return
    if getattr(current_app.view_functions.get(request.endpoint), _CSRF_EXEMPT, False):
        return
    if request.headers.get("Sec-Fetch-Site", "same-origin") == "cross-site":
        raise CsrfRefused
    sent = request.headers.get(CSRF_HEADER) or request.form.get(CSRF_FIELD, "")
    if not same(sent, csrf_token()):
        raise CsrfRefused


# -- language ----------------------------------------------------------------------------------------


def choose_locale() -> None:
    """``?lang=`` (kept in a cookie), what the person prefers, what the browser asks for, our default."""
    asked = i18n.negotiate(request.args.get("lang"))
    if asked:
        g.set_language_cookie = asked
    who = signed_in()
    found = (
        asked
        or i18n.negotiate(request.cookies.get(LANGUAGE_COOKIE))
        or (i18n.negotiate(who.locale) if who else None)
    )
    g.locale_chosen = found is not None
    speak(found or _browser_locale() or parts().settings.default_locale)


def prefer_locale(locale: str | None) -> None:
    """Speak the language a contact or campaign prefers, unless this person chose one here."""
    wanted = i18n.negotiate(locale)
    if wanted and not g.get("locale_chosen"):
        speak(wanted)


def speak(locale: str) -> None:
    g.locale = locale
    i18n.set_locale(locale)
    g.pop("_flask_babel", None)  # Flask-Babel remembers the locale of the request there


def keep_language(response: Response) -> Response:
    chosen = g.get("set_language_cookie")
    if chosen:
        set_cookie(response, LANGUAGE_COOKIE, chosen, max_age=LONG_COOKIE_SECONDS)
    return response


def _browser_locale() -> str | None:
    for tag in request.accept_languages.values():
        found = i18n.negotiate(tag)
        if found:
            return found
    return None


# -- small things pages need -------------------------------------------------------------------------


def page_ask(default: int = pages.DEFAULT_LIMIT) -> pages.PageAsk:
    """``limit`` and ``cursor`` of the query string."""
    return pages.ask(request.args.get("limit", str(default)), request.args.get("cursor"))


def is_htmx() -> bool:
    return request.headers.get("HX-Request") == "true"


def wants_json() -> bool:
    """Whether the caller is a program: the API, htmx (our script shows the message), or asks for JSON."""
    if request.path.startswith("/api/") or is_htmx():
        return True
    best = request.accept_mimetypes.best_match(["text/html", "application/json", "application/problem+json"])
    return bool(request.accept_mimetypes) and best not in (None, "text/html")


def safe_next(target: str | None, default: str) -> str:
    """A place on this site to go on to: a path of ours, never another host."""
    if not target or not target.startswith("/") or target.startswith("//") or "\\" in target:
        return default
    if any(ord(character) < 32 for character in target):
        return default
    return target


def form_text(name: str, default: str = "") -> str:
    return request.form.get(name, default).strip()


def kept(name: str, default: Any = None) -> Any:
    """A value another layer keeps beside the parts in this app (registries made at boot)."""
    return current_app.extensions.get(f"{EXTENSION}.{name}", default)
