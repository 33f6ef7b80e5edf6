"""``growth-engine sandbox``."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from growth_engine.kit.errors import Misconfigured
from growth_engine.sandbox import PORTS, Sandbox, start


@click.command()
@click.option(
    "--data-dir",
    envvar="GROWTH_DATA_DIR",
    default=".data",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder whose sub-folder `sandbox` keeps people, messages and orders.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=PORTS[0],
    show_default=True,
    help="First of three ports: Official Account, WeCom, Pay. 0 for free ones.",
)
@click.option(
    "--app",
    default="http://127.0.0.1:8000",
    show_default=True,
    envvar="GROWTH_PUBLIC_URL",
    help="Public address of the application, whose pages may sign people in.",
)
@click.option("--seed", default=1, show_default=True, help="Where its random numbers start.")
def command(data_dir: Path, host: str, port: int, app: str, seed: int) -> None:
    """Run a stand-in for the servers of WeChat, WeCom and WeChat Pay, with a simulated phone.

    Nothing of it reaches the internet. Signatures carry the wall's time, so that an application that
    lives by it agrees, also after the sandbox's own clock was moved.
    """
    ports = (port, port + 1, port + 2) if port else (0, 0, 0)
    try:
        sandbox = start(data_dir / "sandbox", host=host, ports=ports, seed_number=seed)
    except OSError as error:
        raise Misconfigured(
            f"The sandbox cannot listen on ports {ports[0]} to {ports[2]} ({error.strerror or error}):"
            " choose others with --port."
        ) from error
    with sandbox:
        sandbox.options(signature_clock="wall")
        sandbox.pages_of(app)
        _tell(sandbox)
        ended = threading.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: ended.set())
        ended.wait()


def _tell(sandbox: Sandbox) -> None:
    click.echo(f"The phone:  {sandbox.admin_url}/")
    click.echo("The application is turned to the sandbox by these settings:")
    for name, url in sandbox.hosts.items():
        click.echo(f"  {name}={url}")
    click.echo(f"Credentials: {sandbox.admin_url}/credentials")
