"""The merchant's connection: requests are signed, answers believed only with WeChat Pay's signature."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import httpx
import orjson
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from growth_engine.channels.contract import PayCredentials, Reason
from growth_engine.channels.errors import (
    ChannelError,
    GoneForGood,
    OutcomeUnknown,
    RetryLater,
    StopAndAlert,
    error_for,
)
from growth_engine.channels.protocol import pay_crypto
from growth_engine.channels.protocol.pay_crypto import (
    PUBLIC_KEY_PREFIX,
    PlatformKeys,
    SignatureProblem,
    SignatureRefused,
)
from growth_engine.channels.quota import Budget, Quotas, explained
from growth_engine.channels.wire import LARGEST_ANSWER_BYTES, Answer, Gear
from growth_engine.kit.errors import GrowthError

log = structlog.get_logger(__name__)

#: Unknown serials must not make us fetch the list again and again: anybody can send one.
CERTIFICATES_APART_SECONDS = 60
#: Fetched certificates are kept so long; a job fetches them anew long before (the platform asks for 12 h).
CERTIFICATES_KEPT_SECONDS = 30 * 24 * 3600

#: Sheet §4.9; HTTP codes vary by API, so the name decides. What is not listed leaves a write unknown.
REASONS: dict[str, Reason] = {
    "SIGN_ERROR": Reason.CREDENTIALS,
    "MCH_NOT_EXISTS": Reason.CREDENTIALS,
    "APPID_MCHID_NOT_MATCH": Reason.CREDENTIALS,
    "NO_AUTH": Reason.PERMISSION,
    "PARAM_ERROR": Reason.BAD_REQUEST,
    "INVALID_REQUEST": Reason.BAD_REQUEST,
    "RULE_LIMIT": Reason.LIMIT,
    "NOT_ENOUGH": Reason.FUNDS,
    "ORDER_NOT_EXIST": Reason.NOT_FOUND,
    "NOT_FOUND": Reason.NOT_FOUND,
    "RESOURCE_NOT_EXISTS": Reason.NOT_FOUND,
    "NO_STATEMENT_EXIST": Reason.NOT_FOUND,
    "STATEMENT_CREATING": Reason.BUSY,
    "FREQUENCY_LIMITED": Reason.BUSY,
    "FREQUENCY_LIMIT_EXCEED": Reason.BUSY,
    "ALREADY_EXISTS": Reason.ALREADY_DONE,
    "OUT_TRADE_NO_USED": Reason.ALREADY_DONE,
    "ORDER_PAID": Reason.ALREADY_DONE,
    "ORDERPAID": Reason.ALREADY_DONE,
    "ORDER_CLOSED": Reason.TOO_LATE,
}
_CODE = re.compile(r"[A-Z][A-Z_]{1,60}")


class WechatPay:
    """One merchant. Safe to use from many threads; parsed keys are remembered, so it is cheap to build."""

    def __init__(self, credentials: PayCredentials, gear: Gear) -> None:
        self.credentials, self.gear = credentials, gear
        self._base = gear.hosts.wxpay_api.rstrip("/")
        self._quotas = Quotas(gear.queue, gear.clock)

    def check(self) -> None:
        """Ask for an order there cannot be: ChannelError unless keys and serials of both sides are right.

        The APIv3 key has no part in it; ``refresh_certificates`` proves that (where there are certificates).
        """
        number = f"check{self.gear.ids.token(24)}"
        path = f"/v3/pay/transactions/out-trade-no/{number}?mchid={self.credentials.mch_id}"
        self.find(path, operation="check")

    # ── Calls ───────────────────────────────────────────────────────────────────────────────────────────

    def get(self, path_and_query: str, *, operation: str, budgets: Sequence[Budget] = ()) -> dict[str, Any]:
        """A question. RetryLater when no answer came; StopAndAlert when it is not to be believed."""
        return self._call("GET", path_and_query, operation=operation, safe=True, budgets=budgets)

    def find(
        self, path_and_query: str, *, operation: str, budgets: Sequence[Budget] = ()
    ) -> dict[str, Any] | None:
        """The same; ``None`` when WeChat Pay says, signed, that it knows no such thing."""
        try:
            return self.get(path_and_query, operation=operation, budgets=budgets)
        except GoneForGood as error:
            if error.reason is Reason.NOT_FOUND:
                return None
            raise

    def post(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        operation: str,
        sealed_for: str = "",
        budgets: Sequence[Budget] = (),
    ) -> dict[str, Any]:
        """A command. OutcomeUnknown whenever it may have been carried out: ask, then repeat unchanged.

        ``sealed_for`` is the serial of the key that fields of ``body`` were encrypted with.
        """
        return self._call(
            "POST", path, operation=operation, safe=False, body=body, serial=sealed_for, budgets=budgets
        )

    def download(self, path_and_query: str, *, operation: str, largest: int) -> bytes:
        """A file of WeChat Pay: signed as a request, but not as an answer; the caller checks its hash."""
        answer = self._sent("GET", path_and_query, operation=operation, safe=True, largest=largest)
        if answer.status != 200:
            raise RetryLater(Reason.BUSY, operation=operation, number=f"http {answer.status}")
        return answer.body

    def _call(
        self,
        method: str,
        path_and_query: str,
        *,
        operation: str,
        safe: bool,
        body: Mapping[str, Any] | None = None,
        serial: str = "",
        budgets: Sequence[Budget] = (),
    ) -> dict[str, Any]:
        self._quotas.take(self.credentials.account_id, operation, budgets)
        # Serialised once: the bytes that are signed are the bytes that are sent (sheet §4.1).
        content = b"" if body is None else orjson.dumps(body)
        try:
            answer = self._sent(
                method, path_and_query, operation=operation, safe=safe, content=content, serial=serial
            )
            return self._read(answer, operation=operation, safe=safe)
        except ChannelError as error:
            self._tell(error)
            raise

    def _sent(
        self,
        method: str,
        path_and_query: str,
        *,
        operation: str,
        safe: bool,
        content: bytes = b"",
        serial: str = "",
        largest: int = LARGEST_ANSWER_BYTES,
    ) -> Answer:
        url = httpx.URL(self._base + path_and_query)
        headers = {
            "Accept": "application/json",
            "Authorization": pay_crypto.authorization(
                mch_id=self.credentials.mch_id,
                serial_no=self.credentials.serial_no,
                key=self._key,
                method=method,
                # As it goes over the wire, whatever became of odd characters in it.
                path_and_query=url.raw_path.decode(),
                timestamp=self._now(),
                nonce=self.gear.ids.token(32),
                body=content,
            ),
        }
        if content:
            headers["Content-Type"] = "application/json"
        named = serial or self._public_key_serial()
        if named:
            headers["Wechatpay-Serial"] = named
        return self.gear.exchange(
            method,
            url,
            operation=operation,
            safe=safe,
            content=content or None,
            headers=headers,
            largest=largest,
        )

    # ── Answers ─────────────────────────────────────────────────────────────────────────────────────────

    def _read(self, answer: Answer, *, operation: str, safe: bool) -> dict[str, Any]:
        trace = answer.headers.get("Request-Id", "")
        if answer.status >= 500:
            raise _lost(safe, Reason.BUSY, operation, f"http {answer.status}", trace)
        try:
            self.believe(answer.headers, answer.body)
        except SignatureRefused as refused:
            number = f"signature {refused.problem.value}, http {answer.status} {_claim(answer)}".rstrip()
            if safe:
                raise StopAndAlert(
                    Reason.CREDENTIALS, operation=operation, number=number, trace=trace
                ) from None
            raise OutcomeUnknown(
                Reason.CREDENTIALS, operation=operation, number=number, trace=trace
            ) from None
        except RetryLater as error:  # our own keys are out of reach; the answer is there all the same
            raise _lost(safe, error.reason, operation, error.number, trace) from None
        if 200 <= answer.status < 300:
            return _document(answer, operation, safe=safe, trace=trace)
        code = _claim(answer)
        reason = REASONS.get(code)
        if reason is None:
            raise _lost(safe, Reason.OTHER, operation, code or f"http {answer.status}", trace)
        raise error_for(reason, operation=operation, number=code, trace=trace)

    def believe(self, headers: Mapping[str, str], body: bytes) -> str:
        """Check an answer or a callback; the serial that signed it. Raises SignatureRefused.

        An unknown certificate is looked for once in the platform's list; never for a public key, and not
        for more than one stranger a minute.
        """
        try:
            return pay_crypto.verify(self.platform_keys(), headers, body, now=self._now())
        except SignatureRefused as refused:
            unknown = refused.problem is SignatureProblem.UNKNOWN_SERIAL
            if not unknown or refused.serial.startswith(PUBLIC_KEY_PREFIX) or not self._fetched_anew():
                raise
        return pay_crypto.verify(self.platform_keys(), headers, body, now=self._now())

    # ── Keys ────────────────────────────────────────────────────────────────────────────────────────────

    def platform_keys(self) -> PlatformKeys:
        """Keys given by hand and certificates fetched before, of both modes at once. Asks nobody."""
        with explained("certificates"):
            kept: Any = self.gear.queue.get(self._certificates)
        fetched = [(serial, pem) for serial, pem in orjson.loads(kept)] if kept else []
        given = [(key.serial, key.pem) for key in self.credentials.platform_keys]
        return _keys(tuple(given + fetched))

    def refresh_certificates(self) -> list[str]:
        """Fetch the platform's certificates (``GET /v3/certificates``) and keep them; their serials.

        The list is signed by a certificate that is in it: it was opened with the APIv3 key, which only
        the platform and we hold, so its own certificates may vouch for it.
        """
        operation = "/v3/certificates"
        answer = self._sent("GET", operation, operation=operation, safe=True)
        if answer.status >= 500:
            raise RetryLater(Reason.BUSY, operation=operation, number=f"http {answer.status}")
        if answer.status != 200:
            # Cannot be believed before there are keys, and need not: nothing follows from it but an alarm.
            number = f"http {answer.status} {_claim(answer)}".rstrip()
            raise StopAndAlert(Reason.CREDENTIALS, operation=operation, number=number)
        found = _document(answer, operation, safe=True, trace="")
        now = self.gear.clock.now()
        try:
            opened = [self._opened(one) for one in found.get("data", ())]
            valid = [(serial, pem) for serial, pem, ends in opened if ends > now]
            keys = self.platform_keys().with_(_keys(tuple(valid)))
            pay_crypto.verify(keys, answer.headers, answer.body, now=self._now())
        except (GrowthError, KeyError, TypeError) as error:
            number = getattr(error, "problem", type(error).__name__)
            raise StopAndAlert(Reason.CREDENTIALS, operation=operation, number=str(number)) from None
        with explained("certificates"):
            self.gear.queue.set(self._certificates, orjson.dumps(valid), ex=CERTIFICATES_KEPT_SECONDS)
        return [serial for serial, _ in valid]

    def _opened(self, sealed: Mapping[str, Any]) -> tuple[str, str, datetime]:
        pem = pay_crypto.decrypt_resource(self.credentials.api_v3_key, sealed["encrypt_certificate"]).decode()
        ends = x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
        return pay_crypto.certificate_serial(pem), pem, ends.astimezone(UTC)

    def _fetched_anew(self) -> bool:
        try:
            self._quotas.spaced(self.credentials.account_id, "certificates", CERTIFICATES_APART_SECONDS)
            self.refresh_certificates()
        except ChannelError as error:
            self._tell(error)
            return False
        return True

    @property
    def _key(self) -> RSAPrivateKey:
        return _private_key(self.credentials.private_key_pem)

    @property
    def _certificates(self) -> str:
        return f"ge:channel:{{{self.credentials.account_id}}}:certificates"

    def _public_key_serial(self) -> str:
        serials = (key.serial for key in self.credentials.platform_keys)
        return next((serial for serial in serials if serial.startswith(PUBLIC_KEY_PREFIX)), "")

    def sealed(self, text: str) -> tuple[str, str]:
        """``text`` encrypted for the platform, and the serial to name beside it (``sealed_for``)."""
        key = self.platform_keys().sealing
        if key is None:
            self.refresh_certificates()
            key = self.platform_keys().sealing
        if key is None:
            raise StopAndAlert(Reason.CREDENTIALS, operation="seal", number="no platform key")
        return pay_crypto.seal_name(key[1], text), key[0]

    def signed_for_page(self, prepay_id: str) -> dict[str, str]:
        """What the page hands to ``WeixinJSBridge`` to have an order paid (sheet §4.1)."""
        timestamp, nonce = self._now(), self.gear.ids.token(32)
        signature = pay_crypto.pay_sign(
            self._key,
            app_id=self.credentials.app_id,
            timestamp=timestamp,
            nonce=nonce,
            prepay_id=prepay_id,
        )
        return {
            "appId": self.credentials.app_id,
            "timeStamp": str(timestamp),
            "nonceStr": nonce,
            "package": f"prepay_id={prepay_id}",
            "signType": "RSA",
            "paySign": signature,
        }

    def _now(self) -> int:
        return int(self.gear.clock.now().timestamp())

    def _tell(self, error: ChannelError) -> None:
        log.warning(
            "channel.failed",
            platform="wechat_pay",
            account=self.credentials.account_id,
            operation=error.operation,
            kind=type(error).__name__,
            reason=error.reason.value,
            number=error.number,
            request_id=error.trace,
        )


def _document(answer: Answer, operation: str, *, safe: bool, trace: str) -> dict[str, Any]:
    if not answer.body:
        return {}  # 204: done, nothing to say
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise _lost(safe, Reason.OTHER, operation, "no JSON object", trace)
    return found


def _claim(answer: Answer) -> str:
    """The ``code`` an error names, when it looks like one."""
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return ""
    code = found.get("code") if isinstance(found, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def _lost(safe: bool, reason: Reason, operation: str, number: str, trace: str) -> ChannelError:
    kind = RetryLater if safe else OutcomeUnknown
    return kind(reason, operation=operation, number=number, trace=trace)


@lru_cache(maxsize=64)
def _private_key(pem: str) -> RSAPrivateKey:
    return pay_crypto.private_key(pem)


@lru_cache(maxsize=64)
def _keys(pems: tuple[tuple[str, str], ...]) -> PlatformKeys:
    return pay_crypto.platform_keys(pems)
