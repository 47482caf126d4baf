"""What `doctor` finds in the database and at the server, beside what `check` finds; each with what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection, func, select

from stampcard.cli.findings import Finding, Level
from stampcard.clock import from_micros, to_micros
from stampcard.engine.describing import rate_of
from stampcard.engine.wording import alert_words
from stampcard.storage.alerting import list_alerts
from stampcard.storage.backfilling import open_backfills
from stampcard.storage.data_requests import list_data_requests
from stampcard.storage.depths import load_depths
from stampcard.storage.listing import (
    commands_before,
    orders_after,
    pushes_after,
    quarantine_groups,
    quarantine_sample,
    silent_for,
)
from stampcard.storage.programming import load_programs
from stampcard.storage.stating import load_states
from stampcard.storage.switching import list_switches
from stampcard.storage.tables import event, fetch, inbox, message
from stampcard_webhooks.wellbeing import silence

#: What waits longer than this waits for somebody.
SLOW = timedelta(minutes=5)
#: How long ago what was not sent is still worth a word.
LATELY = timedelta(days=1)
#: Reasons of dropped messages that are somebody's to mend.
_FAULTS = {
    "no_channel": "no connection has that channel. Add one: stampcard connection add",
    "text_failed": "the text could not be written out. See: stampcard message list --state dropped",
}
#: How many of the newest events are looked at.
LATEST = 200


def diagnose(connection: Connection, merchant: str, now: datetime) -> list[Finding]:
    """Everything that a person should look at."""
    found = [
        *_states(connection, merchant),
        *_switches(connection, merchant),
        *_inbox(connection, merchant, now),
        *_quarantined(connection, merchant),
        *_undecided(connection, merchant),
        *_currencies(connection, merchant, now),
        *_fetches(connection, merchant),
        *_due(connection, merchant, now),
        *_dead(connection, merchant),
        *_unknown(connection, merchant, now),
        *_messages(connection, merchant, now),
        *_alerts(connection, merchant, now),
        *_data_requests(connection, merchant, now),
        *_backfills(connection, merchant),
    ]
    return found or [_finding("ok", "queues", "nothing is stuck, set aside or given up")]


def _finding(level: Level, about: str, text: str) -> Finding:
    return Finding(level=level, about=about, text=text)


def _states(connection: Connection, merchant: str) -> Iterator[Finding]:
    for row in load_states(connection, merchant):
        since = f"{from_micros(row.since):%Y-%m-%d %H:%M}Z"
        text = f"{row.state} since {since}: {row.reason or 'no reason given'}. Mend the cause, then: "
        yield _finding(
            "warning", f"connections.{row.connection}", f"{text}stampcard connection resume {row.connection}"
        )


def _switches(connection: Connection, merchant: str) -> Iterator[Finding]:
    for one in list_switches(connection, merchant):
        if one.kind != "connection":
            by = f" by {one.author}" if one.author else ""
            text = f"stopped since {one.since:%Y-%m-%d %H:%M}Z{by}: {one.note}. When it may go on: "
            yield _finding("warning", f"{one.kind} {one.name}", f"{text}stampcard start {one.kind} {one.name}")


def _alerts(connection: Connection, merchant: str, now: datetime) -> Iterator[Finding]:
    """Those of the last day; what was given up is told by itself."""
    told = [
        one
        for one in list_alerts(connection, merchant, since=now - timedelta(days=1))
        if one.alert.kind != "dead_letters"
    ]
    live = {one.name: one for one in load_programs(connection, merchant).current(now)} if told else {}
    for one in told:
        yield _finding(
            "warning", "alert", f"{one.at:%Y-%m-%d %H:%M}Z: {alert_words(one.alert, live.get(one.alert.program))}"
        )


def silent_findings(
    connection: Connection, merchant: str, names: Iterable[str], now: datetime, most: timedelta
) -> Iterator[Finding]:
    """Connections of which no webhook came for longer than `most`; those that people stopped are told of already."""
    stopped = {row.connection for row in load_states(connection, merchant)}
    for name in sorted(set(names) - stopped):
        span = silent_for(connection, merchant, name, now, most)
        if span is not None:
            yield _finding("warning", f"connections.{name}", silence(name, span))


def _backfills(connection: Connection, merchant: str) -> Iterator[Finding]:
    """Pasts that are not read to their end."""
    for one in open_backfills(connection, merchant):
        about, how = f"connections.{one.connection}", f"See: stampcard connection backfill {one.connection} --status"
        if one.terms.stopped:
            yield _finding("warning", about, f"the reading of its past was stopped after {one.done} orders. {how}")
        elif one.terms.trouble:
            yield _finding("warning", about, f"its past cannot be read on ({one.terms.trouble}). {how}")


def _data_requests(connection: Connection, merchant: str, now: datetime) -> Iterator[Finding]:
    """People who wait for what is stored of them."""
    most = 100
    found = list_data_requests(connection, merchant, answered=False, after=None, limit=most)
    if found:
        waits = _text(now - found[0].asked_at)
        text = f"{len(found)}{'+' * (len(found) == most)} people wait for what is stored of them, one for {waits}; "
        text += "the law leaves a month in most places. See: stampcard member requests"
        yield _finding("warning", "members", text)


def _inbox(connection: Connection, merchant: str, now: datetime) -> Iterator[Finding]:
    paused = [row.connection for row in load_states(connection, merchant) if row.state == "paused"]
    waiting = select(func.count(), func.min(inbox.c.received_at)).where(
        inbox.c.merchant == merchant, inbox.c.status == "ready", inbox.c.connection.not_in(paused)
    )
    count, oldest = connection.execute(waiting).one()
    if count and now - from_micros(oldest) > SLOW:
        text = (
            f"{count} deliveries wait to be applied, the oldest for {_span(now, oldest)}. Is stampcard serve running?"
        )
        yield _finding("warning", "inbox", text)


def _quarantined(connection: Connection, merchant: str) -> Iterator[Finding]:
    for name, code, count, *_ in quarantine_groups(connection, merchant):
        sample = quarantine_sample(connection, merchant, name, code)
        reason = f" ({sample.detail})" if sample and sample.detail else ""
        text = f"{count} of {name} set aside as {code or 'failed'}{reason}. Mend the cause, then: "
        yield _finding("warning", "quarantine", f"{text}stampcard replay --connection {name}")


def _undecided(connection: Connection, merchant: str) -> Iterator[Finding]:
    most = 100
    orders = orders_after(connection, merchant, None, most, undecided=True)
    if orders:
        count = f"{len(orders)}{'+' * (len(orders) == most)}"
        first = f"{orders[0].source}:{orders[0].reference}"
        text = f"a rule's condition failed for {count} orders, {first} among them. Mend the program and apply it"
        yield _finding("warning", "orders", text)


def _currencies(connection: Connection, merchant: str, now: datetime) -> Iterator[Finding]:
    """Connections whose newest orders are in money of which no program knows the worth."""
    newest = select(event.c.kind, event.c.connection, event.c.body).where(event.c.merchant == merchant)
    programs = [live.program for live in load_programs(connection, merchant).current(now)]
    found: dict[str, set[str]] = {}
    for row in connection.execute(newest.order_by(event.c.id.desc()).limit(LATEST)):
        if row.kind == "order_seen" and programs:
            currency = str(msgspec.json.decode(row.body)["snapshot"]["currency"])
            if all(rate_of(program, currency, now) is None for program in programs):
                found.setdefault(row.connection, set()).add(currency)
    for name, currencies in sorted(found.items()):
        text = f"its orders in {', '.join(sorted(currencies))} earn nothing, for no program knows what that is worth. "
        yield _finding("warning", f"connections.{name}", f"{text}Set the program's `currency`, or a rate below `rates`")


def _fetches(connection: Connection, merchant: str) -> Iterator[Finding]:
    failing = (
        select(fetch.c.connection, func.count(), func.max(fetch.c.error))
        .where(fetch.c.merchant == merchant, fetch.c.error.is_not(None))
        .group_by(fetch.c.connection)
    )
    for name, count, error in connection.execute(failing):
        text = f"{count} records cannot be fetched ({error}). See: stampcard connection test {name}"
        yield _finding("warning", f"connections.{name}", text)


def _due(connection: Connection, merchant: str, now: datetime) -> Iterator[Finding]:
    depths = load_depths(connection, merchant)
    for name, oldest in depths.oldest.items():
        if now - oldest > SLOW:
            text = f"{depths.pending[name]} are due, the oldest for {_text(now - oldest)}. Is stampcard serve running? "
            yield _finding("warning", f"connections.{name}", f"{text}See: stampcard connection test {name}")


def _dead(connection: Connection, merchant: str) -> Iterator[Finding]:
    for name, count in load_depths(connection, merchant).dead.items():
        rows = [
            *pushes_after(connection, merchant, name, True, None, 1),
            *commands_before(connection, merchant, "dead", name, None, 1),
        ]
        last = next((row.error for row in rows if row.error), "no reason kept")
        text = f"{count} given up ({last}). Mend the cause, then: stampcard outbox retry --all"
        yield _finding("warning", f"connections.{name}", text)


def _unknown(connection: Connection, merchant: str, now: datetime) -> Iterator[Finding]:
    most = 100
    found = commands_before(connection, merchant, "unknown", None, None, most)
    # A vendor that does things in its own time is asked again: that is no trouble yet.
    rows = [row for row in found if now - from_micros(row.attempted_at or row.created_at) > SLOW]
    if rows:
        text = f"of {len(rows)}{'+' * (len(rows) == most)} commands nobody knows whether they were done. "
        yield _finding("warning", "outbox", f"{text}See: stampcard outbox list --status unknown")


def _messages(connection: Connection, merchant: str, now: datetime) -> Iterator[Finding]:
    statement = (
        select(message.c.program, message.c.name, message.c.channel, message.c.reason, func.count().label("many"))
        .where(
            message.c.merchant == merchant,
            message.c.state == "dropped",
            message.c.reason.in_(_FAULTS),
            message.c.changed_at >= to_micros(now - LATELY),
        )
        .group_by(message.c.program, message.c.name, message.c.channel, message.c.reason)
        .order_by(message.c.program, message.c.name, message.c.channel)
    )
    for row in connection.execute(statement):
        why = _FAULTS[row.reason].format(channel=row.channel)
        text = f"{row.many} not sent by {row.channel} in the last day: {why}"
        yield _finding("warning", f"message {row.program}/{row.name}", text)


def _span(now: datetime, since: int) -> str:
    return _text(now - from_micros(since))


def _text(span: timedelta) -> str:
    minutes = int(span.total_seconds()) // 60
    days, hours = minutes // 1440, minutes // 60
    return f"{days} days" if days > 1 else f"{hours} hours" if hours > 1 else f"{minutes} minutes"
