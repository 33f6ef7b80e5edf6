"""``growth-engine connections …``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from growth_engine.cli import _product

if TYPE_CHECKING:
    from growth_engine.context import Parts

#: Names of the accounts ``sandbox`` makes.
_NAMES = {"wechat_oa": "Sandbox", "wecom": "Sandbox WeCom", "wechat_pay": "Sandbox Pay"}


@click.group()
def command() -> None:
    """Accounts at WeChat, WeCom and WeChat Pay."""


@command.command("list")
@_product.data_dir_option
def list_accounts(data_dir: Path) -> None:
    """Id, provider, state and name of every connected account."""
    from growth_engine.connections import queries

    with _product.parts_at(data_dir) as parts:
        for workspace_id in _product.workspaces(parts):
            with parts.open(workspace_id) as ctx:
                for row in queries.accounts(ctx):
                    click.echo(f"{row.id}  {row.provider}  {row.state}  {row.name}")


@command.command()
@_product.data_dir_option
@click.option("--workspace", "slug", required=True, help="The workspace to connect.")
@click.option("--url", "control", required=True, help="The sandbox's control plane: http://…/_sandbox.")
def sandbox(data_dir: Path, slug: str, control: str) -> None:
    """Connect a workspace to a running sandbox, both ways; what is connected already stays."""
    import httpx

    from growth_engine.access import queries

    with _product.parts_at(data_dir) as parts, httpx.Client(base_url=control, timeout=30) as client:
        with parts.db.transaction(None) as session:
            workspace_id = queries.workspace_id_of(session, slug)
        if workspace_id is None:
            raise click.ClickException(f"There is no workspace called {slug}.")
        credentials = client.get("/credentials").raise_for_status().json()
        accounts = {name: _account(parts, workspace_id, name, credentials) for name in _NAMES}
        for service, name, number in (
            ("oa", "wechat_oa", credentials["oa"]["appid"]),
            ("wecom", "wecom", credentials["wecom"]["corpid"]),
        ):
            url = f"{parts.settings.public_url.rstrip('/')}/webhooks/{name}/{accounts[name]}"
            answer = client.post(f"/{service}/{number}", json={"callback_url": url})
            if answer.is_error:
                raise click.ClickException(f"The sandbox does not accept {url}: {answer.text}")
        for name, account_id in accounts.items():
            click.echo(f"{account_id}  {name}")


def _account(parts: Parts, workspace_id: str, provider: str, credentials: dict[str, Any]) -> str:
    from growth_engine.connections import queries, service

    ids, settings, secrets, keys = _entered(provider, credentials)
    with parts.open(workspace_id) as ctx:
        for row in queries.accounts(ctx):
            if row.provider == provider and row.name == _NAMES[provider]:
                return row.id
        entered = service.Entered(_NAMES[provider], ids, settings, secrets, platform_keys=keys)
        return service.connect(ctx, provider, entered)


def _entered(provider: str, credentials: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    """Public ids, settings, secrets and the platform's keys, as a person would enter them."""
    oa, wecom, pay = (credentials[name] for name in ("oa", "wecom", "pay"))
    if provider == "wechat_oa":
        secrets = {"app_secret": oa["secret"], "token": oa["token"], "aes_key": oa["encoding_aes_key"]}
        ids = {"appid": oa["appid"], "original_id": oa["original_id"]}
        return ids, {"mode": oa["mode"]}, secrets, ()
    if provider == "wecom":
        secrets = {
            "secret": wecom["secret"],
            "token": wecom["token"],
            "aes_key": wecom["encoding_aes_key"],
        }
        return {"corpid": wecom["corpid"], "agentid": "218"}, {}, secrets, ()
    ids = {
        "mchid": pay["mchid"],
        "appid": pay["appid"],
        "serial_no": pay["merchant_serial"],
    }
    secrets = {"api_v3_key": pay["api_v3_key"], "private_key": pay["merchant_private_key"]}
    return ids, {}, secrets, ((pay["public_key_id"], pay["public_key"]),)
