"""Keeping up with the keys WeChat Pay signs with."""

from __future__ import annotations

import structlog

from growth_engine.connections import checking, queries
from growth_engine.context import Parts
from growth_engine.kit.jobs import job

log = structlog.get_logger(__name__)


@job("connections.certificates", every=12 * 3600, scope="every_workspace")
def certificates(parts: Parts, workspace_id: str) -> int:
    """Fetch platform certificates for merchants that still have some: a new one signs callbacks before
    the old one ends. What goes wrong is shown with the account."""
    with parts.open(workspace_id) as ctx:
        merchants = [
            one.id for one in queries.connections(ctx, "wechat_pay") if checking.needs_certificates(one)
        ]
    for account_id in merchants:
        error = checking.check(parts, workspace_id, account_id)
        if error:
            log.warning("connections.certificates", account=account_id, error=error)
    return 0  # one look is enough for half a day
