"""Background work on live codes: say in time that a code ends, or that newcomers see nothing."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from growth_engine.context import Parts
from growth_engine.kit.jobs import job
from growth_engine.ledger import alerts
from growth_engine.live_codes import queries, rules

TOPIC = "live_code"


@job("live_codes.warn", every=3600, scope="every_workspace")
def warn(parts: Parts, workspace_id: str) -> int:
    """Raise an alert for every active live code somebody must see to, clear it where all is well."""
    with parts.open(workspace_id) as ctx:
        zone, now = ZoneInfo(queries.zone_name(ctx)), ctx.now()
        targets = queries.targets_of_all(ctx)
        for code in queries.live_codes(ctx):
            of = targets.get(code.id, [])
            found = rules.warnings(of, now, zone) if code.state == "active" and of else []
            if found:
                told = "; ".join(
                    one.message % {name: str(value) for name, value in one.params.items()} for one in found
                )
                alerts.raise_alert(ctx, TOPIC, code.id, f"{code.name}: {told}")
            else:
                alerts.clear(ctx, TOPIC, code.id)
    return 0  # one look an hour is enough
