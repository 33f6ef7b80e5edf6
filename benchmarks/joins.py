"""Joins a second through HTTP against a bare view with one insert: `python benchmarks/joins.py [--large N]`.

Needs wrk (Debian's package of that name) to make the load: 32 connections, one thread.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _house as house
import psycopg
from mirror import journal

from growth_engine.context import Parts
from growth_engine.ledger.service import catch_up, verify_all
from growth_engine.settings import Settings

PORT = 18_631
CONNECTIONS = 32

_SCRIPT = """
local counter = 0
function request()
  counter = counter + 1
  local who = "%(run)s-" .. counter
  local inviter = "%(prefix)s" .. math.random(1, %(members)d)
  local body = string.format(
    '{"contact":{"external_id":"%%s","nickname":"Guest"},"invite_token":"%%s","consent":true}', who, inviter)
  return wrk.format("POST", "%(path)s",
    {["Content-Type"] = "application/json", ["Authorization"] = "Bearer %(token)s"}, body)
end
local bad = 0
function response(status)
  if status ~= 201 then bad = bad + 1; if bad < 4 then io.stderr:write("status " .. status .. "\\n") end end
end
"""


def load(
    address: str, path: str, token: str, members: int, run: str, seconds: int, prefix: str = "bench"
) -> float:
    """Requests a second that wrk got answered with 201; any other answer stops the benchmark."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            _SCRIPT % {"run": run, "members": members, "path": path, "token": token, "prefix": prefix}
        )
        script.flush()
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", script.name, address]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    refused = any(sign in result.stdout for sign in ("Non-2xx", "Socket errors"))
    if result.returncode or result.stderr.strip() or refused:
        sys.exit(f"not every answer was 201:\n{result.stdout}{result.stderr}")
    latency = re.search(r"99%\s+(\S+)", result.stdout)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", result.stdout)
    assert latency, result.stdout
    assert rate, result.stdout
    print(f"  {run:<28} {float(rate[1]):8.0f} /s   p99 {latency[1]}", flush=True)
    return float(rate[1])


def bare(settings: Settings, seconds: int) -> float:
    with psycopg.connect(settings.migration_database_url, autocommit=True) as conn:
        conn.execute(
            "CREATE TABLE IF NOT EXISTS bench_bare (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
            " who text, inviter text, at timestamptz DEFAULT now())"
        )
        conn.execute("GRANT ALL ON bench_bare TO growth_app")
    with house.web(settings, PORT, "_bare:app", PYTHONPATH=str(Path(__file__).parent)) as address:
        load(address, "/bare", "", 1, "warm", 2)
        return load(address, "/bare", "", 1000, "bare view, one insert", seconds)


def joins(settings: Settings, parts: Parts, members: int, seconds: int) -> float:
    workspace_id, campaign_id, token = house.live_campaign(parts, f"bench-{members}")
    took = house.fill(settings, workspace_id, campaign_id, members, journal)
    began = time.perf_counter()
    catch_up(parts, workspace_id, campaign_id)
    print(f"  filled {members:,} members in {took:.0f} s, mirrored in {time.perf_counter() - began:.0f} s")
    path = f"/api/v1/campaigns/{campaign_id}/participants"
    with house.web(settings, PORT) as address:
        prefix = house.invite_prefix(campaign_id)
        load(address, path, token, members, "warm", 3, prefix)
        rate = load(address, path, token, members, f"joins at {members:,} members", seconds, prefix)
    reports = verify_all(parts, workspace_id)
    assert all(report.clean for report in reports), reports
    return rate


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--large", type=int, default=0, help="also measure at so many members")
    arguments.add_argument("--seconds", type=int, default=10)
    chosen = arguments.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk")
    with house.servers() as settings, house.parts_of(settings) as parts:
        baseline = bare(settings, chosen.seconds)
        small = joins(settings, parts, 10_000, chosen.seconds)
        again = bare(settings, chosen.seconds)
        ratio = small / ((baseline + again) / 2)
        print(f"joins / bare view: {ratio:.2f} (wanted: at least 0.50)")
        if chosen.large:
            large = joins(settings, parts, chosen.large, chosen.seconds)
            print(f"at {chosen.large:,} / at 10,000 members: {large / small:.2f} (wanted: at least 0.85)")


if __name__ == "__main__":
    main()
