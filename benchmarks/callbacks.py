"""Encrypted callbacks a second against a bare view with one insert: `python benchmarks/callbacks.py`.

Needs wrk. Every callback is another follower; what they cause depends on the interpreters there are.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import http.client
import queue
import re
import secrets
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

import _house as house
import joins
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from sqlalchemy import text

from growth_engine.access.service import create_workspace
from growth_engine.connections import service
from growth_engine.connections.service import Entered
from growth_engine.context import Parts
from growth_engine.settings import Settings

PORT = 18_641
CONNECTIONS = 32
BURST, AT_ONCE, LATEST_SECONDS = 10_000, 64, 5.0
TOKEN, KEY, APPID = "benchmark", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "wx2c2769f8efd9abc2"

_SCRIPT = """
local lines, at = {}, 0
for line in io.lines("%s") do lines[#lines + 1] = line end
function request()
  at = at + 1
  if at > #lines then at = 1; io.stderr:write("too few callbacks were made\\n") end
  local query, body = lines[at]:match("^(%%S+) (.*)$")
  return wrk.format("POST", "%s?" .. query, {["Content-Type"] = "text/xml"}, body)
end
"""


def callback(number: int) -> tuple[str, str]:
    """Query and body of a new follower's event, as the platform encrypts and signs it."""
    said = (
        f"<xml><ToUserName>gh_1</ToUserName><FromUserName>oBench{number:020d}</FromUserName>"
        f"<CreateTime>{1_714_000_000 + number}</CreateTime><MsgType>event</MsgType>"
        "<Event>subscribe</Event><EventKey></EventKey></xml>"
    ).encode()
    key = base64.b64decode(KEY + "=")
    plain = secrets.token_bytes(16) + struct.pack(">I", len(said)) + said + APPID.encode()
    pad = 32 - len(plain) % 32
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    encrypted = base64.b64encode(encryptor.update(plain + bytes([pad]) * pad)).decode()
    nonce, timestamp = secrets.token_hex(5), "1714000000"
    signature = hashlib.sha1("".join(sorted([TOKEN, timestamp, nonce, encrypted])).encode()).hexdigest()
    query = f"timestamp={timestamp}&nonce={nonce}&encrypt_type=aes&msg_signature={signature}"
    return query, f"<xml><ToUserName>gh_1</ToUserName><Encrypt>{encrypted}</Encrypt></xml>"


def connected(parts: Parts) -> tuple[str, str]:
    """(workspace, path) of an Official Account in safe mode."""
    workspace_id = create_workspace(parts, "bench", "Bench", "Asia/Shanghai")
    with parts.open(workspace_id) as ctx:
        account_id = service.connect(
            ctx,
            "wechat_oa",
            Entered("Bench", {"appid": APPID}, {"mode": "safe"}, {"token": TOKEN, "aes_key": KEY}),
        )
    return workspace_id, f"/webhooks/wechat_oa/{account_id}"


def load(address: str, path: str, first: int, seconds: int, most: int) -> float:
    """Callbacks a second that were answered with 200."""
    with (
        tempfile.NamedTemporaryFile("w", suffix=".txt") as made,
        tempfile.NamedTemporaryFile("w", suffix=".lua") as script,
    ):
        made.writelines(" ".join(callback(first + number)) + "\n" for number in range(most))
        made.flush()
        script.write(_SCRIPT % (made.name, path))
        script.flush()
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", script.name, address]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode or result.stderr.strip() or "Non-2xx" in result.stdout or "Socket" in result.stdout:
        sys.exit(f"not every answer was 200:\n{result.stdout}{result.stderr}")
    latency = re.search(r"99%\s+(\S+)", result.stdout)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", result.stdout)
    assert latency, result.stdout
    assert rate, result.stdout
    print(f"  {'encrypted callbacks':<28} {float(rate[1]):8.0f} /s   p99 {latency[1]}", flush=True)
    return float(rate[1])


def burst(path: str, first: int) -> tuple[float, float]:
    """(seconds for all, slowest answer): each callback once, over so many connections at a time."""
    waiting: queue.SimpleQueue[tuple[str, str] | None] = queue.SimpleQueue()
    for number in range(BURST):
        waiting.put(callback(first + number))
    slowest = [0.0] * AT_ONCE

    def call(who: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
        while True:
            try:
                one = waiting.get_nowait()
            except queue.Empty:
                return
            assert one is not None
            began = time.perf_counter()
            connection.request("POST", f"{path}?{one[0]}", one[1], {"Content-Type": "text/xml"})
            answer = connection.getresponse()
            answer.read()
            slowest[who] = max(slowest[who], time.perf_counter() - began)
            assert answer.status == 200, answer.status

    threads = [threading.Thread(target=call, args=(who,)) for who in range(AT_ONCE)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began, max(slowest)


def stored(parts: Parts, workspace_id: str, first: int) -> int:
    """How many followers from this number on are in the inbox."""
    counted = text("SELECT count(*) FROM inbox_messages WHERE sender >= :first")
    with parts.open(workspace_id) as ctx:
        return int(ctx.session.scalar(counted, {"first": f"oBench{first:020d}"}) or 0)


def run(settings: Settings, parts: Parts, seconds: int) -> None:
    joins.PORT = PORT
    baseline = joins.bare(settings, seconds)
    workspace_id, path = connected(parts)
    with house.web(settings, PORT) as address:
        load(address, path, 0, 2, 8_000)
        rate = load(address, path, 1_000_000, seconds, 4_000 * seconds)
        took, slowest = burst(path, 5_000_000)
        lost = BURST - stored(parts, workspace_id, 5_000_000)
    again = joins.bare(settings, seconds)
    print(f"callbacks / bare view: {rate / ((baseline + again) / 2):.2f} (wanted: at least 0.40)")
    print(
        f"burst of {BURST:,} over {AT_ONCE} connections: {BURST / took:.0f} /s, {lost} lost (wanted: 0),"
        f" slowest answer {slowest:.2f} s (wanted: below {LATEST_SECONDS:.0f})"
    )
    assert lost == 0
    assert slowest < LATEST_SECONDS


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=int, default=10)
    chosen = arguments.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk")
    with house.servers() as settings, house.parts_of(settings) as parts:
        run(settings, parts, chosen.seconds)


if __name__ == "__main__":
    main()
