"""HubSpot's values in our forms of text, and a contact that we read as what it tells."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TypeVar

import msgspec

from stampcard.plugin import ContactSeen, Delivery, MalformedPayload
from stampcard_hubspot.payloads import Record
from stampcard_hubspot.settings import ContactMap

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLIS = re.compile(r"-?[0-9]{4,15}")
#: A number beyond this many digits is left as it stands.
_DIGITS = 30
T = TypeVar("T")


def read(body: bytes, shape: type[T]) -> T:
    """The body in the given shape, or MalformedPayload, which says where but never what stands there."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedPayload(f"not what HubSpot publishes: {error}"[:300]) from None
    except UnicodeDecodeError:
        raise MalformedPayload("not what HubSpot publishes: the text is not UTF-8") from None


def moment_of(text: str) -> datetime | None:
    """A moment as HubSpot writes it, by ISO 8601 or in milliseconds since 1970; None for what is none."""
    try:
        if _MILLIS.fullmatch(text):
            return _EPOCH + timedelta(milliseconds=int(text))
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _number(text: str) -> str:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    if not number.is_finite() or abs(number.adjusted()) > _DIGITS or len(text) > 2 * _DIGITS:
        return text
    plain = f"{number:f}"
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return "0" if plain in {"", "-0", "-"} else plain


def _date(text: str) -> str:
    moment = moment_of(text)
    return text if moment is None else moment.date().isoformat()


def _moment(text: str) -> str:
    moment = moment_of(text)
    if moment is None:
        return text
    return moment.replace(microsecond=0).isoformat().replace("+00:00", "Z")


#: How each kind of field is written here; text is left as it is.
_FORMS: Mapping[str, Callable[[str], str]] = {
    "number": _number,
    "date": _date,
    "moment": _moment,
    "truth": str.lower,
}


def canonical(kind: str, text: str | None) -> str:
    """A property's value in our form; nothing is empty."""
    form = _FORMS.get(kind)
    plain = (text or "").replace("\x00", "")
    return form(plain) if form is not None and plain else plain


def contact_of(delivery: Delivery, fields: ContactMap) -> ContactSeen:
    """A contact that we read."""
    record = read(delivery.body, Record)
    told = {name: canonical("text", value) for name, value in record.properties.items()}
    changed = moment_of(told.get("lastmodifieddate", "")) or moment_of(record.updated_at or "")
    return ContactSeen(
        reference=record.id,
        occurred_at=changed or delivery.received_at,
        # A property that is not there any more, or may not be read, is left out: that says nothing of its value.
        fields={name: canonical(fields.kinds.get(name, "text"), told[name]) for name in fields.told if name in told},
        emails=_all(told.get("email", ""), *told.get("hs_additional_emails", "").split(";")),
        phones=_all(told.get("phone", ""), told.get("mobilephone", "")),
        member=told.get(fields.member, ""),
    )


def _all(*texts: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.strip() for text in texts if text.strip()))
