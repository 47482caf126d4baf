"""What Twilio signs its webhooks with: the address and what is posted, under the account's auth token.

https://www.twilio.com/docs/usage/webhooks/webhooks-security
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs, parse_qsl, urlsplit

from stampcard.plugin import InvalidSignature, UnverifiedRequest

SIGNATURE = "x-twilio-signature"
SETTING = "auth_token and http.public_url"
#: In the query where the body is no form: the hash of it.
HASH = "bodySHA256"
#: More than any of Twilio's forms has: what nobody vouched for yet must not keep us busy.
_MOST_FIELDS, _MOST_BYTES = 1000, 65_536
_HOST = re.compile(r"(https?)(://[^/?#]*?)(:[0-9]{1,5})?(?=[/?#]|\Z)")
_PORTS: Mapping[str, str] = {"http": ":80", "https": ":443"}
Form = Mapping[str, Sequence[str]]


def check(secrets: Sequence[bytes], request: UnverifiedRequest) -> None:
    """Raise InvalidSignature unless one of the secrets signed this request."""
    given = request.header(SIGNATURE)
    if not given:
        raise InvalidSignature("the signature header is missing", SETTING)
    signed = _signed(request)
    fits = False
    for secret in secrets:
        for address in addresses(request.url):
            due = base64.b64encode(hmac.digest(secret, (address + signed).encode(errors="replace"), "sha1"))
            fits |= hmac.compare_digest(due, given.encode(errors="replace"))
    if not fits:
        raise InvalidSignature("the signature does not fit the address and the body", SETTING)


def addresses(url: str) -> tuple[str, ...]:
    """An address without a port and with one: Twilio signs either."""
    found = _HOST.match(url)
    if found is None:
        return (url,)
    scheme, host, port = found.groups()
    rest = url[found.end() :]
    return f"{scheme}{host}{rest}", f"{scheme}{host}{port or _PORTS[scheme]}{rest}"


def hash_of(url: str) -> str | None:
    """The hash that the body has to have, where the address tells one."""
    return next(iter(parse_qs(urlsplit(url).query).get(HASH, ())), None)


def form_of(body: bytes) -> Form:
    """The fields of a form, each with all its values as they stand; raises ValueError."""
    if len(body) > _MOST_BYTES:
        raise ValueError("too long")
    text = body.decode("ascii")
    fields: dict[str, list[str]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS):
        fields.setdefault(name, []).append(value)
    return fields


def _signed(request: UnverifiedRequest) -> str:
    """What is signed behind the address; nothing where the address has the body's hash."""
    told = hash_of(request.url)
    if told is not None:
        if not hmac.compare_digest(hashlib.sha256(request.body).hexdigest().encode(), told.encode(errors="replace")):
            raise InvalidSignature(f"the body does not fit {HASH}", SETTING)
        return ""
    try:
        form = form_of(request.body)
    except ValueError:
        raise InvalidSignature("the body is no form such as Twilio sends", SETTING) from None
    return "".join(name + value for name in sorted(form) for value in sorted(set(form[name])))
