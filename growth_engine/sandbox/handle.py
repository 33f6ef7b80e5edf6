"""Starting the sandbox, and a handle on it for tests and for the command line."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from growth_engine.sandbox import control, faults, oa, pay, people, seed, wecom
from growth_engine.sandbox.clock import VirtualClock
from growth_engine.sandbox.control import actions, configure
from growth_engine.sandbox.serving import Listener, Service
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World

#: Official Account, WeCom, Pay, when nobody says otherwise.
PORTS = (9101, 9102, 9103)
STATE_FILE = "sandbox.sqlite3"


class Person:
    """One simulated person. What they do is over when the application has been called."""

    def __init__(self, sandbox: Sandbox, person_id: str) -> None:
        self._sandbox = sandbox
        self.id = person_id

    def do(self, action: str, **params: Any) -> Doc:
        """Any action of ``control.actions``; raises CannotDo where the phone would refuse."""
        done = actions.do(self._sandbox.world, self.id, action, params)
        self._sandbox.settle()
        return done

    def openid(self, appid: str = seed.APPID) -> str:
        with self._sandbox.world.open():
            return people.openid(self._sandbox.world, appid, self.id)

    @property
    def unionid(self) -> str:
        return str(people.person(self._sandbox.world, self.id)["unionid"])

    @property
    def balance(self) -> int:
        """What the wallet holds, in fen."""
        return int(people.person(self._sandbox.world, self.id)["balance"])

    def chat(self, name: str = f"oa:{seed.APPID}") -> list[Doc]:
        """The messages of one chat, the oldest first."""
        return people.messages(self._sandbox.world, self.id, name)


class Sandbox:
    """A running sandbox; ``with`` or ``stop()`` ends it. It knows what the application has to be told."""

    def __init__(self, world: World, listeners: list[Listener]) -> None:
        self.world = world
        self._listeners = listeners
        self.oa_url, self.wecom_url, self.pay_url = (one.url for one in listeners)
        self.admin_url = f"{self.oa_url}/_sandbox"

    @property
    def hosts(self) -> dict[str, str]:
        """The five base addresses, by the names of the settings."""
        return seed.hosts(self.world)

    @property
    def credentials(self) -> Doc:
        """``{"oa": {…}, "wecom": {…}, "pay": {…}, "hosts": {…}}``, all that the application needs to know."""
        return seed.credentials(self.world)

    def person(self, nickname: str, **given: Any) -> Person:
        """Make somebody. ``given``: real_name, real_named, balance, locale, snapshot."""
        with self.world.open():
            return Person(self, people.make(self.world, nickname, **given)["id"])

    def oa_server(self, url: str, **changes: Any) -> None:
        """Point the account's callbacks at ``url`` (verified by GET first), change its settings.

        ``changes``: token, encoding_aes_key, mode (plain, compatible, safe), format (xml, json), and more.
        """
        configure.official_account(self.world, seed.APPID, {"callback_url": url, **changes})

    def pages_of(self, url: str) -> None:
        """Let the application's pages sign people in and use the JS-SDK, as the console does by domain."""
        host = urlsplit(url).netloc
        configure.official_account(self.world, seed.APPID, {"oauth_domains": [host], "js_domains": [host]})

    def wecom_server(self, url: str, **changes: Any) -> None:
        """Point the corporation's callbacks at ``url`` (verified by GET), change its settings."""
        configure.corporation(self.world, wecom.seed.CORPID, {"callback_url": url, **changes})

    def merchant(self, **changes: Any) -> None:
        """Change the merchant: mode (public_key, certificate, both), balance, transfer_scenes, and more."""
        configure.merchant(self.world, seed.MCHID, changes)

    def options(self, **values: Any) -> Doc:
        """Behaviours that are a choice (``world.DEFAULT_OPTIONS``)."""
        return self.world.set_options(**values)

    def fault(self, service: str, action: str, **rule: Any) -> Doc:
        """Plan a fault (``faults.plan``): service oa, wecom or pay; on, match, value, times, skip."""
        return faults.plan(self.world, {"service": service, "action": action, **rule})

    def advance(self, seconds: float) -> None:
        """Let the virtual clock run ahead, doing on the way what falls due."""
        self.world.runner.advance(seconds)

    def settle(self, seconds: float = 60.0) -> bool:
        """Wait until nothing is due: callbacks delivered or given up."""
        return self.world.runner.settle(seconds)

    def log(self, *, since: int = 0, service: str | None = None, limit: int = 1000) -> list[Doc]:
        """Calls answered (``in``) and made (``out``), the oldest first."""
        return self.world.store.notes(since=since, service=service, limit=limit)

    def reset(self) -> None:
        """Back to a fresh sandbox; keys, accounts and addresses stay what they are."""
        configure.reset(self.world)

    def stop(self) -> None:
        self.world.stopping.set()
        self.world.store.let_go()
        for listener in self._listeners:
            listener.stop()
        self.world.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(
    folder: Path | None = None,
    *,
    host: str = "127.0.0.1",
    ports: tuple[int, int, int] = (0, 0, 0),
    seed_number: int = 1,
    at: float | None = None,
    frozen: bool = False,
) -> Sandbox:
    """Start a sandbox in threads of this process.

    ``folder`` keeps its state (None: in memory, gone afterwards); ``ports`` of Official Account, WeCom and
    Pay, 0 for a free one; ``at`` and ``frozen`` set the virtual clock, which otherwise runs with the wall's.
    """
    world = _world(folder, VirtualClock(at=at, frozen=frozen), seed_number)
    services: list[Service] = []
    listeners: list[Listener] = []
    try:
        for make, port in zip((oa.service, wecom.service, pay.service), ports, strict=True):
            services.append(make(world))
            listeners.append(Listener(services[-1], host, port))
            world.urls[services[-1].name] = listeners[-1].url
    except BaseException:
        for listener in listeners:
            listener.close()
        world.close()
        raise
    control.mount(services[0].flask, world)
    world.start()
    for listener in listeners:
        listener.start()
    return Sandbox(world, listeners)


def _world(folder: Path | None, clock: VirtualClock, seed_number: int) -> World:
    """The world kept in a folder, its clock as far ahead as it was; a fresh one where there is none."""
    if folder is not None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    world = World(folder / STATE_FILE if folder else None, clock, seed_number)
    kept = world.store.get("options", "clock")
    if kept is not None:
        clock.jump_to(clock.time() + kept["ahead"])
    if not world.store.count("oa.accounts"):
        seed.sow(world)
    return world
