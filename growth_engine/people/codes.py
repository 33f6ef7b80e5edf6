"""One-time codes by SMS: six digits, five minutes, five tries, used once, limited per phone and address."""

from __future__ import annotations

import unicodedata
from datetime import timedelta
from typing import Final

from growth_engine.context import Parts
from growth_engine.kit.crypto import keyed_digest
from growth_engine.kit.errors import TooMany
from growth_engine.kit.i18n import N_, translate
from growth_engine.people.rules import normalise

DIGITS: Final = 6
LIFETIME: Final = timedelta(minutes=5)
MOST_TRIES: Final = 5
RESEND_AFTER: Final = timedelta(seconds=60)
MOST_PER_PHONE_AND_DAY: Final = 10
#: An office or a carrier's gateway is one address for many people.
MOST_PER_ADDRESS_AND_DAY: Final = 200


TEXT: Final = N_("%(code)s is your code. It is valid for 5 minutes. Tell it to nobody.")


class CodeTooSoon(TooMany):
    code = "code_too_soon"
    message = N_("A code was sent a moment ago. You can ask for another in %(seconds)s seconds.")


class TooManyCodes(TooMany):
    code = "too_many_codes"
    message = N_("Too many codes were asked for today. Please try again tomorrow.")


# One script each, so that parallel requests cannot slip between a look and a write. Times come from the
# injected clock in whole milliseconds; the keys' own expiry only clears up.
#
# KEYS: code, count of the phone, count of the address. ARGV: hash, now, lifetime, resend delay (ms),
# most per phone, most per address. Answers {0, ms to wait}, {1, 0} over a limit, {2, 0} issued.
_ISSUE = """
local sent = tonumber(redis.call('HGET', KEYS[1], 'sent') or '-1')
local now = tonumber(ARGV[2])
if sent >= 0 and now < sent + tonumber(ARGV[4]) then return {0, sent + tonumber(ARGV[4]) - now} end
if tonumber(redis.call('GET', KEYS[2]) or '0') >= tonumber(ARGV[5]) then return {1, 0} end
if tonumber(redis.call('GET', KEYS[3]) or '0') >= tonumber(ARGV[6]) then return {1, 0} end
for i = 2, 3 do
  if redis.call('INCR', KEYS[i]) == 1 then redis.call('EXPIRE', KEYS[i], 172800) end
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'hash', ARGV[1], 'sent', ARGV[2], 'until', now + tonumber(ARGV[3]), 'tries', 0)
redis.call('PEXPIRE', KEYS[1], math.max(tonumber(ARGV[3]), tonumber(ARGV[4])))
return {2, 0}
"""

# KEYS: code. ARGV: hash of what was typed, now, most tries. Answers 1 when right. The try is counted
# before the comparison; a right code is gone at once, the time of sending stays for the resend delay.
_CHECK = """
local code = redis.call('HMGET', KEYS[1], 'hash', 'until', 'tries')
if not code[1] or tonumber(ARGV[2]) >= tonumber(code[2]) then return 0 end
if tonumber(code[3]) >= tonumber(ARGV[3]) then return 0 end
redis.call('HINCRBY', KEYS[1], 'tries', 1)
if code[1] ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'hash')
return 1
"""


def send_code(
    parts: Parts, workspace_id: str, phone: str, *, address: str, locale: str | None = None
) -> None:
    """Send a fresh code to a phone; an earlier one is void from then on.

    ``address`` is the visitor's network address, kept hashed for two days as a counter; empty when there
    is none to tell. Raises
    ``Invalid`` (no phone number), ``CodeTooSoon``, ``TooManyCodes``, or ``SmsUnavailable`` (the person
    may try again at once; the attempt counts towards the day all the same).
    """
    phone = normalise("phone", phone, parts.settings.phone_region)
    code = parts.ids.digits(DIGITS)
    keys = _keys(parts, workspace_id, phone, address)
    outcome, wait = parts.queue.eval(
        _ISSUE,
        len(keys),
        *keys,
        _hash(parts, workspace_id, phone, code),
        _now(parts),
        _ms(LIFETIME),
        _ms(RESEND_AFTER),
        MOST_PER_PHONE_AND_DAY,
        MOST_PER_ADDRESS_AND_DAY,
    )
    if outcome == 0:
        raise CodeTooSoon(params={"seconds": -(-wait // 1000)}, extra={"retry_after": -(-wait // 1000)})
    if outcome == 1:
        raise TooManyCodes
    try:
        parts.sms.send(phone, translate(TEXT, {"code": code}, locale=locale))
    except BaseException:
        parts.queue.delete(keys[0])
        raise


def check_code(parts: Parts, workspace_id: str, phone: str, code: str) -> bool:
    """Whether this is the code last sent to the phone; true once at most, false for whatever is wrong.

    What is compared are keyed hashes: how long it takes says nothing about the code.
    """
    phone = normalise("phone", phone, parts.settings.phone_region)
    # Chinese keyboards type full-width digits, and people copy a space along.
    typed = _hash(parts, workspace_id, phone, "".join(unicodedata.normalize("NFKC", code[:32]).split()))
    key = _keys(parts, workspace_id, phone, "")[0]
    return bool(parts.queue.eval(_CHECK, 1, key, typed, _now(parts), MOST_TRIES) == 1)


def _keys(parts: Parts, workspace_id: str, phone: str, address: str) -> list[str]:
    """Neither phone numbers nor addresses stand in the keys, only their keyed hashes."""
    secret = parts.settings.secret_key
    whose = keyed_digest(secret, f"sms {workspace_id} {phone}")
    place = keyed_digest(secret, f"sms address {address or whose}")
    day = parts.clock.now().date().isoformat()
    return [f"ge:sms:{whose}:code", f"ge:sms:{whose}:{day}", f"ge:sms:at:{place}:{day}"]


def _hash(parts: Parts, workspace_id: str, phone: str, code: str) -> str:
    safe = code.encode("utf-8", "replace").decode()
    return keyed_digest(parts.settings.secret_key, f"sms code {workspace_id} {phone} {safe}")


def _now(parts: Parts) -> int:
    return int(parts.clock.now().timestamp() * 1000)


def _ms(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)
