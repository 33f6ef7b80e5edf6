"""The command line: one file per command, found by its name; errors are one line on stderr."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import click

from growth_engine.kit.errors import GrowthError


class _Found(click.Group):
    """Commands are the modules beside this one; only the one asked for is imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(p.stem for p in Path(__file__).parent.glob("*.py") if not p.stem.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        found = importlib.import_module(f"{__name__}.{cmd_name}").command
        assert isinstance(found, click.Command), f"cli/{cmd_name}.py must define `command`"
        return found


@click.command(cls=_Found, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="growth-engine")
def cli() -> None:
    """Growth Engine: referral campaigns with books that add up."""


def main() -> None:
    """Entry point of ``growth-engine``: 0 well, 1 found something wrong, 2 cannot do what was asked."""
    try:
        code = cli(standalone_mode=False)
    except GrowthError as error:
        fields = "; ".join(f"{name}: {_first(why)}" for name, why in error.extra.get("errors", {}).items())
        click.echo(f"growth-engine: {error}{' ' + fields if fields else ''}", err=True)
        code = 2
    except click.ClickException as error:
        error.show()
        code = 2
    except click.Abort:
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


def _first(why: object) -> object:
    return why[0] if isinstance(why, list) and why else why
