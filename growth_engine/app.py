"""The composition root: builds the parts of a process, finds the pages, and returns the Flask app."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import structlog
from flask import Blueprint, Flask, Request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_babel import Babel
from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined
from werkzeug.middleware.proxy_fix import ProxyFix

from growth_engine.access import sessions, tokens
from growth_engine.channels import sms, storage
from growth_engine.channels.wire import Gear
from growth_engine.connections.checking import hosts_of
from growth_engine.context import Parts
from growth_engine.kit import discovery, i18n, jobs, rest, web
from growth_engine.kit.clock import Clock, SystemClock
from growth_engine.kit.errors import Misconfigured
from growth_engine.kit.ids import Ids
from growth_engine.kit.redis import queue_client
from growth_engine.kit.tx import Database
from growth_engine.ledger.mirror import Mirror
from growth_engine.ledger.mirroring import Mirroring
from growth_engine.ledger.poster import Poster
from growth_engine.plays.posting.batch import Rules
from growth_engine.settings import Settings
from growth_engine.web import errors, guard, navigation, words

log = structlog.get_logger(__name__)

WEB = Path(__file__).parent / "web"
#: Packages whose modules are screens: each module with a ``bp`` is one blueprint.
SCREENS = (
    "growth_engine.web",
    "growth_engine.web.h5",
    "growth_engine.web.marketer",
    "growth_engine.web.sales",
)


def build_parts(
    settings: Settings, clock: Clock | None = None, bits: Callable[[int], int] | None = None
) -> Parts:
    """Every long-lived part of one process; ``close()`` ends them in the reverse order."""
    clock = clock or SystemClock()
    ids = Ids(clock, bits)
    db = Database(settings.database_url)
    queue = queue_client(settings.queue_redis_url)
    bell = jobs.RqBell(queue)
    mirror = Mirror.connect(settings.ledger_redis_url)
    poster = Poster(
        settings.database_url,
        clock=clock,
        ids=ids,
        rules=Rules(ids, fees={"free": settings.platform_fee_bp, "member": settings.platform_fee_member_bp}),
        mirrored=Mirroring(mirror, bell.ring),
        ring=bell.ring,
    )
    gear = Gear(queue=queue, clock=clock, ids=ids, hosts=hosts_of(settings))
    return Parts(
        settings=settings,
        db=db,
        clock=clock,
        ids=ids,
        queue=queue,
        bell=bell,
        mirror=mirror,
        ledger=poster,
        storage=storage.from_settings(settings),
        sms=sms.from_settings(settings),
        gear=gear,
        close_hooks=[db.close, queue.close, mirror.close, gear.close, poster.close],
    )


class _FlashSessions(SecureCookieSessionInterface):
    """Flask's cookie for one-time notes, without making a signer for the many requests that have none."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if self.get_cookie_name(app) not in request.cookies:
            return self.session_class()
        return super().open_session(app, request)


def create_app(parts: Parts) -> Flask:
    """The WSGI application around ``parts``: pages, API, errors, security headers."""
    settings = parts.settings
    app = Flask("growth_engine", static_folder=None, template_folder=None, root_path=str(WEB.parent))
    app.config.update(
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=settings.max_body_bytes,
        MAX_FORM_MEMORY_SIZE=settings.max_body_bytes,
        SESSION_COOKIE_NAME="ge_flash",  # one-time notes only; who is signed in is kept in Redis
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        BABEL_TRANSLATION_DIRECTORIES=str(i18n.CATALOGUE),
    )
    app.session_interface = _FlashSessions()
    app.extensions[web.EXTENSION] = parts
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    Babel(app, default_locale="en", locale_selector=i18n.current_locale, timezone_selector=web.zone)
    _prepare_templates(app)
    guard.protect(app, sessions.identify)
    modules = [module for package in SCREENS for module in discovery.children(package)]
    _register_screens(app, modules)
    navigation.collect(app, modules)
    _register_api(app)
    errors.register(app)
    return app


def _prepare_templates(app: Flask) -> None:
    """Templates live beside their screens; a name found in two folders would hide one of them."""
    folders = sorted(path for path in WEB.rglob("templates") if path.is_dir())
    seen: dict[str, Path] = {}
    for folder in folders:
        for path in folder.rglob("*.html"):
            name = path.relative_to(folder).as_posix()
            if name in seen:
                raise Misconfigured(
                    f"Two templates are called {name}: {seen[name]} and {folder}. Rename one."
                )
            seen[name] = folder
    app.jinja_env.loader = ChoiceLoader([FileSystemLoader(folder) for folder in folders])
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    words.install(app)


def _register_screens(app: Flask, modules: Sequence[ModuleType]) -> None:
    """Register each module's ``bp``; two screens of one name, or two at one address, stop the boot."""
    for module in modules:
        blueprint = getattr(module, "bp", None)
        if not isinstance(blueprint, Blueprint):
            continue
        if blueprint.name in app.blueprints:
            raise Misconfigured(
                f"Two screens are called {blueprint.name!r}: rename the one in {module.__name__}."
            )
        app.register_blueprint(blueprint)
    taken: dict[tuple[str, str], str] = {}
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            other = taken.setdefault((method, rule.rule), rule.endpoint)
            if other != rule.endpoint:
                raise Misconfigured(f"{method} {rule.rule} belongs to both {other} and {rule.endpoint}.")


def _register_api(app: Flask) -> None:
    """The REST API: the ``blp`` of every ``api.py`` and ``api_….py`` of a slice."""
    modules = [module for name in ("api", "api_*") for module in discovery.find(name)]
    rest.install(app, modules, authenticate=tokens.authenticate_token, require_scope=tokens.require_scope)
