"""From what was told in our words to our events; pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from stampcard.plugin import (
    ConsentSeen,
    CustomerErased,
    CustomerSeen,
    CustomersMerged,
    CustomEvent,
    DataRequested,
    Event,
    MalformedPayload,
    OrderLine,
    OrderSeen,
    OrderSnapshot,
    Refund,
    RefundLine,
    RefundSeen,
    Stamp,
)
from stampcard_standard_webhooks import messages
from stampcard_standard_webhooks.converting import shown
from stampcard_standard_webhooks.messages import MOST_MONEY, Told

_JSON = msgspec.json.Decoder(float_hook=Decimal)
_FINEST = Decimal("1E-9")
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
#: Integers up to here are the same in every JSON reader.
_EXACT = 2**53 - 1
_LONGEST = 1000
_PLACE = re.compile(r"`\$([^`]*)`")
_STEP = re.compile(r"\.([^.\[]+)|\[([0-9]+)\]")
#: What stands below these names is somebody's own and never shown.
_PERSONAL = re.compile(r"\.(attributes|emails|phones|customer)\b")
_BUILT_IN = frozenset({"email", "phone", "first_name", "last_name", "language", "country", "timezone"})
T = TypeVar("T", OrderSnapshot, Refund)


def read_json(body: bytes) -> Any:
    """The body as JSON, its fractions exact; raises MalformedPayload."""
    try:
        return _JSON.decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedPayload(f"not JSON: {str(error).removeprefix('JSON is malformed: ')}") from None
    except UnicodeDecodeError:
        raise MalformedPayload("not JSON: the text is not UTF-8") from None
    except ValueError:
        raise MalformedPayload("not JSON: a number has too many digits") from None


def shaped(shape: type[Told], data: Any, place: str) -> Told:
    """The data in its shape; raises MalformedPayload, which says which field is wrong and what stands there."""
    try:
        return msgspec.convert(data, shape)
    except msgspec.ValidationError as error:
        raise MalformedPayload(_words(str(error), data, place)) from None
    except RecursionError:
        raise MalformedPayload(f"{place}: is nested too deeply") from None


def moment_of(value: Any, place: str) -> datetime:
    """A time with its zone; raises MalformedPayload."""
    try:
        return utc(msgspec.convert(value, messages.Moment), place)
    except msgspec.ValidationError as error:
        raise MalformedPayload(_words(str(error), value, place)) from None


def utc(at: datetime, place: str) -> datetime:
    try:
        at = at.astimezone(UTC)
    except OverflowError:
        at = _LAST
    if not _FIRST <= at < _LAST:
        raise MalformedPayload(f"{place}: lies outside of the calendar")
    return at


@lru_cache(maxsize=8192)
def _shortest(amount: Decimal) -> Decimal:
    return Decimal(format(amount.quantize(_FINEST).normalize() + 0, "f"))


def exact(amount: Decimal, place: str) -> Decimal:
    """The amount in its one shortest form; raises MalformedPayload for what no shop has."""
    if not amount.is_finite() or not 0 <= amount < MOST_MONEY:
        raise MalformedPayload(f"{place}: must be from 0 to {MOST_MONEY:f}, not {shown(amount)}")
    return _shortest(amount)


def events_of(told: Told, at: datetime, place: str, *, refunds: bool = True) -> Iterator[Event]:
    """What is told, as events; `at`: when, unless it says so itself. Without `refunds` these are left out."""
    if isinstance(told, messages.Order):
        yield from _order(told, at, place, refunds=refunds)
    elif refunds or not isinstance(told, messages.Refund):
        yield _ALONE[type(told)](told, at, place)


def _refunded(told: messages.Refund, at: datetime, place: str) -> Event:
    return RefundSeen(order=told.order, refund=_refund(told, at, place))


def _changed(told: messages.Customer, at: datetime, place: str) -> Event:
    return _customer(told, utc(told.updated_at or at, f"{place}.updated_at"), place)


def _consented(told: messages.Consented, at: datetime, place: str) -> Event:
    return ConsentSeen(
        customer=told.customer,
        channel=told.channel,
        purpose=told.purpose,
        state=told.state,
        occurred_at=utc(told.occurred_at or at, f"{place}.occurred_at"),
        confirmed=told.confirmed,
    )


def _erased(told: messages.Erased, at: datetime, place: str) -> Event:
    if not (told.reference or told.emails or told.phones):
        raise MalformedPayload(f"{place}: names nobody: give reference, emails or phones")
    occurred_at = utc(told.occurred_at or at, f"{place}.occurred_at")
    return CustomerErased(reference=told.reference, occurred_at=occurred_at, emails=told.emails, phones=told.phones)


def _merged(told: messages.Merged, at: datetime, place: str) -> Event:
    if told.kept == told.gone:
        raise MalformedPayload(f"{place}.gone: is the same as kept")
    return CustomersMerged(
        kept=told.kept, gone=told.gone, occurred_at=utc(told.occurred_at or at, f"{place}.occurred_at")
    )


def _requested(told: messages.Requested, at: datetime, place: str) -> Event:
    occurred_at = utc(told.occurred_at or at, f"{place}.occurred_at")
    return DataRequested(reference=told.reference, occurred_at=occurred_at, request=told.request)


def _happened(told: messages.Happened, at: datetime, place: str) -> Event:
    return CustomEvent(
        name=told.name,
        customer=told.customer,
        key=told.key,
        occurred_at=utc(told.occurred_at or at, f"{place}.occurred_at"),
        data=_scalars(told.data, f"{place}.data"),
    )


#: What is told by one event alone.
_ALONE: Mapping[type[Told], Callable[[Any, datetime, str], Event]] = {
    messages.Refund: _refunded,
    messages.Customer: _changed,
    messages.Consented: _consented,
    messages.Erased: _erased,
    messages.Merged: _merged,
    messages.Requested: _requested,
    messages.Happened: _happened,
}


def _order(order: messages.Order, at: datetime, place: str, *, refunds: bool) -> Iterator[Event]:
    at = utc(order.updated_at or at, f"{place}.updated_at")
    if order.customer is not None and (order.customer.attributes or order.customer.verified):
        yield _customer(order.customer, at, f"{place}.customer")
    given = [_refund(one, at, f"{place}.refunds[{i}]") for i, one in enumerate(order.refunds)] if refunds else []
    _check_once((refund.reference for refund in given), f"{place}.refunds")
    snapshot = OrderSnapshot(
        stamp=Stamp(at=at),
        number=order.number or order.reference,
        occurred_at=utc(order.placed_at, f"{place}.placed_at"),
        currency=order.currency,
        total=exact(order.total, f"{place}.total"),
        paid=order.paid,
        cancelled=order.cancelled or order.cancelled_at is not None,
        cancelled_at=None if order.cancelled_at is None else utc(order.cancelled_at, f"{place}.cancelled_at"),
        customer=None if order.customer is None else order.customer.reference,
        tax_included=order.tax_included,
        lines=_lines(order.lines, f"{place}.lines"),
        shipping=exact(order.shipping, f"{place}.shipping"),
        shipping_tax=exact(order.shipping_tax, f"{place}.shipping_tax"),
        channel=order.channel,
        tags=order.tags,
        codes=tuple(sorted({code for code in order.codes if code})),
        paid_with_points=exact(order.paid_with_points, f"{place}.paid_with_points"),
        fulfilled_at=None if order.fulfilled_at is None else utc(order.fulfilled_at, f"{place}.fulfilled_at"),
        utc_offset=order.utc_offset,
        lists_all_refunds=order.lists_all_refunds and refunds,
        refund_references=tuple(sorted(refund.reference for refund in given)),
    )
    # Of two states with the same time the one that is further along counts: many clocks have whole seconds only.
    along = f"{snapshot.cancelled:d}{snapshot.paid:d}{snapshot.fulfilled_at is not None:d}{len(given):04}"
    yield OrderSeen(reference=order.reference, snapshot=_stamped(snapshot, along), refunds=tuple(given))


def _lines(lines: Sequence[messages.Line], place: str) -> tuple[OrderLine, ...]:
    read = tuple(_line(line, number, f"{place}[{number - 1}]") for number, line in enumerate(lines, 1))
    _check_once((line.reference for line in read), place)
    return read


def _line(line: messages.Line, number: int, place: str) -> OrderLine:
    if (line.price is None) is (line.gross is None):
        raise MalformedPayload(f"{place}: give price, of one item, or gross, of the whole line")
    gross = line.gross if line.price is None else exact(line.price, f"{place}.price") * line.quantity
    return OrderLine(
        reference=line.reference or str(number),
        quantity=line.quantity,
        gross=exact(gross or Decimal(0), f"{place}.gross"),
        discount=exact(line.discount, f"{place}.discount"),
        tax=exact(line.tax, f"{place}.tax"),
        gift_card=line.gift_card,
        product=line.product,
        sku=line.sku,
        vendor=line.vendor,
        collections=line.collections,
        tags=line.tags,
    )


def _refund(refund: messages.Return, at: datetime, place: str) -> Refund:
    changed = utc(refund.updated_at or at, f"{place}.updated_at")
    lines = [
        RefundLine(
            line=line.line,
            quantity=line.quantity,
            subtotal=exact(line.subtotal, f"{place}.lines[{i}].subtotal"),
            tax=exact(line.tax, f"{place}.lines[{i}].tax"),
        )
        for i, line in enumerate(refund.lines)
    ]
    value = Refund(
        reference=refund.reference,
        stamp=Stamp(at=changed),
        occurred_at=utc(refund.occurred_at or changed, f"{place}.occurred_at"),
        lines=tuple(sorted(lines, key=msgspec.structs.astuple)),
        money=exact(refund.money, f"{place}.money"),
        shipping=exact(refund.shipping, f"{place}.shipping"),
        shipping_tax=exact(refund.shipping_tax, f"{place}.shipping_tax"),
    )
    # Of two states with the same time the one that gives more back counts, since refunds only ever settle.
    return _stamped(value, f"{value.money:024.9f}")


def _stamped(value: T, along: str) -> T:
    digest = hashlib.sha256(msgspec.json.encode(value)).hexdigest()[:24]
    return msgspec.structs.replace(value, stamp=Stamp(at=value.stamp.at, digest=along + digest))


def _customer(person: messages.Person, at: datetime, place: str) -> CustomerSeen:
    attributes = _scalars(person.attributes, f"{place}.attributes")
    for name in _BUILT_IN & attributes.keys():
        if not isinstance(attributes[name], str | None):
            raise MalformedPayload(f"{place}.attributes.{name}: must be text")
    return CustomerSeen(
        reference=person.reference,
        occurred_at=at,
        attributes={name: None if value == "" else value for name, value in attributes.items()},
        verified=frozenset(person.verified),
    )


def _scalars(fields: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The fields, if each holds one value of a kind that a program can have."""
    for name, value in fields.items():
        if not _is_scalar(value):
            kinds = f"text of at most {_LONGEST} letters, true, false, null or a number of at most {_EXACT}"
            raise MalformedPayload(f"{place}.{name}: must be {kinds}")
    return dict(fields)


def _is_scalar(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, str):
        return len(value) <= _LONGEST and "\0" not in value
    if isinstance(value, int):
        return abs(value) <= _EXACT
    return isinstance(value, Decimal) and abs(value) <= _EXACT


def _check_once(references: Iterable[str], place: str) -> None:
    seen: set[str] = set()
    for reference in references:
        if reference in seen:
            raise MalformedPayload(f"{place}: two of them have the reference {shown(reference)}")
        seen.add(reference)


def _words(error: str, data: Any, place: str) -> str:
    """What msgspec says, with our name of the field, and what stands there unless it is somebody's own."""
    message, _, at = error.partition(" - at ")
    path = found[1] if (found := _PLACE.search(at)) else ""
    said = f"{place}{path}: {message[:1].lower()}{message[1:]}"
    if at.startswith("`key`") or _PERSONAL.search(path):
        return said
    value = data
    for name, number in _STEP.findall(path):
        try:
            value = value[name] if name else value[int(number)]
        except (KeyError, IndexError, TypeError):
            return said
    return said if isinstance(value, dict | list) or value is data else f"{said}, not {shown(value)}"
