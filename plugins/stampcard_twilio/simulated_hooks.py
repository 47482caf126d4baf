"""Webhooks of the simulated account: forms, signed with its auth token, each sent once."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp

from stampcard.testing.simulator import SignedRequest
from stampcard_twilio.simulated_book import Text

SIGNATURE = "X-Twilio-Signature"
#: The types of answers that Twilio reads, and how it calls any other (https://www.twilio.com/docs/api/errors/12300).
_READABLE, _UNREADABLE = ("text/xml", "application/xml", "text/html", "text/plain"), 12300
#: Seconds that Twilio waits for an answer.
_PATIENCE = 15.0
AGENT = "TwilioProxy/1.1"


def status_of(text: Text, status: str) -> dict[str, str]:
    """What a report says."""
    told = {"SmsSid": text.sid, "SmsStatus": status, "MessageStatus": status, "To": text.to, "MessageSid": text.sid}
    told |= {"AccountSid": text.account, "From": text.sender or "+14155550100"}
    if text.service:
        told["MessagingServiceSid"] = text.service
    if status in {"undelivered", "failed"}:
        told["ErrorCode"] = str(text.code or 30008)
    return told | {"ApiVersion": "2010-04-01"}


def inbound_of(text: Text) -> dict[str, str]:
    """What tells of a text that somebody wrote."""
    places = {f"{side}{part}": "" for side in ("To", "From") for part in ("City", "State", "Zip", "Country")}
    told = {"SmsMessageSid": text.sid, "NumMedia": "0", "SmsSid": text.sid, "SmsStatus": "received"}
    told |= {"Body": text.body, "To": text.to, "NumSegments": "1", "MessageSid": text.sid}
    return {**places, **told, "AccountSid": text.account, "From": text.sender, "ApiVersion": "2010-04-01"}


def signed(form: Mapping[str, str], url: str, token: str) -> SignedRequest:
    """A form as it goes over the wire."""
    body = urlencode(form).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8", "User-Agent": AGENT}
    return SignedRequest(headers={**headers, SIGNATURE: signature(url, body, token)}, body=body)


def signature(url: str, body: bytes, token: str) -> str:
    fields = sorted(parse_qsl(body.decode(), keep_blank_values=True))
    text = url + "".join(map("".join, fields))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


class Hooks:
    """Sends webhooks; `route`: where our public address really leads, if elsewhere.

    `warnings`: what Twilio would write into the account's log: 12300, where the answer is not what it can read.
    """

    def __init__(self) -> None:
        self.route = ""
        self.sent: list[SignedRequest] = []
        self.answers: list[int] = []
        self.warnings: list[int] = []

    async def post(self, form: Mapping[str, str], url: str, token: str) -> int:
        """Send it; answers the status, or 0 where no answer came."""
        request = signed(form, url, token)
        self.sent.append(request)
        self.answers.append(await self._posted(request, self._reached(url)))
        return self.answers[-1]

    def _reached(self, url: str) -> str:
        query = urlsplit(url).query
        return url if not self.route else self.route + (f"?{query}" if query else "")

    async def _posted(self, request: SignedRequest, url: str) -> int:
        timeout = aiohttp.ClientTimeout(total=_PATIENCE)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(url, data=request.body, headers=dict(request.headers), allow_redirects=False) as answer,
            ):
                await answer.read()
                if answer.headers.get("Content-Type", "") not in _READABLE:
                    self.warnings.append(_UNREADABLE)
                return answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0
