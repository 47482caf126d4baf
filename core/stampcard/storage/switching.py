"""Switches: what somebody stopped for now, and why; every process knows of it within a second."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from difflib import get_close_matches
from typing import Literal

from sqlalchemy import Connection, delete, select, update

from stampcard.clock import Clock, from_micros, to_micros
from stampcard.domain.value import Value
from stampcard.engine.versions import Programs
from stampcard.errors import Conflict, NotFound
from stampcard.storage import saving
from stampcard.storage.revising import bump
from stampcard.storage.stating import load_states, set_state
from stampcard.storage.tables import message, outbox, switch

Kind = Literal["program", "campaign", "rule", "reward", "message", "plugin", "connection"]
KINDS: tuple[Kind, ...] = ("program", "campaign", "rule", "reward", "message", "plugin", "connection")
#: Stands for all messages of a program.
ALL = "all"

#: What goes on although something is stopped, and what to know before it is started again.
GOES_ON: dict[str, str] = {
    "program": "Nobody joins it and nothing is earned in it. Orders that were decided before keep what they earned, "
    "refunds take back, points expire and can be spent. What comes in meanwhile earns nothing in it, also later.",
    "campaign": "Its rules pay nothing. Orders that were decided before keep what they earned, and refunds take back. "
    "Orders that come in meanwhile earn nothing by it, also later.",
    "rule": "Orders that were decided before keep what they earned, and refunds take back. Orders that come in "
    "meanwhile earn nothing by it, also later.",
    "reward": "Nobody gets it any more, for points or by a rule. What was issued before can be used, unless its unused codes "
    "are switched off too.",
    "message": "What was to leave waits, and leaves after a start unless it is too late for it then; what is under way "
    "arrives.",
    "plugin": "What needs its word on points waits until it is started; its other hooks are skipped. Its connections "
    "go on: each has a switch of its own.",
    "connection": "What it sends is taken in and waits, and so does what is to be sent there, until it is started.",
}


class Switch(Value, frozen=True):
    """Something that is stopped: ``program:main``, ``rule:main/purchase``, ``connection:shop``, with who did it and why."""

    target: str
    note: str
    author: str
    since: datetime

    @property
    def kind(self) -> str:
        """What kind of thing it is."""
        return self.target.partition(":")[0]

    @property
    def name(self) -> str:
        """Its name; that of a rule or campaign begins with its program's."""
        return self.target.partition(":")[2]


def stopped_targets(connection: Connection, merchant: str) -> frozenset[str]:
    """What is stopped, without connections."""
    return frozenset(connection.execute(select(switch.c.target).where(switch.c.merchant == merchant)).scalars())


def list_switches(connection: Connection, merchant: str) -> list[Switch]:
    """Everything that is stopped; connections too, whose state is kept elsewhere."""
    found = [
        Switch(target=row.target, note=row.note, author=row.author, since=from_micros(row.since))
        for row in connection.execute(select(switch).where(switch.c.merchant == merchant))
    ]
    found += [
        Switch(target=f"connection:{row.connection}", note=row.reason, author="", since=from_micros(row.since))
        for row in load_states(connection, merchant)
    ]
    return sorted(found, key=lambda one: one.target)


def switch_of(connection: Connection, merchant: str, target: str) -> Switch | None:
    """One switch, None if its target is not stopped."""
    return next((one for one in list_switches(connection, merchant) if one.target == target), None)


def known_targets(programs: Programs, plugins: Iterable[str], connections: Iterable[str]) -> frozenset[str]:
    """Everything that has a switch; late orders still ask rules that only an older version has."""
    found = {f"plugin:{name}" for name in plugins} | {f"connection:{name}" for name in connections}
    for name, versions in programs.versions.items():
        found.add(f"program:{name}")
        for live in versions:
            found |= {f"rule:{name}/{rule.id}" for rule in live.program.rules}
            found |= {f"campaign:{name}/{campaign}" for campaign in live.program.campaigns}
            found |= {f"reward:{name}/{reward}" for reward in live.rewards}
            found |= {f"message:{name}/{message}" for message in live.program.messages}
            if live.program.messages:
                found.add(f"message:{name}/{ALL}")
    return frozenset(found)


def find_target(kind: str, name: str, known: Collection[str]) -> str:
    """The target that is meant; the program may be left out of a rule's or campaign's name where only one has it.

    Raises NotFound with the closest name there is, Conflict where several programs have it.
    """
    if kind not in KINDS:
        raise NotFound("kind of switch", kind, _closest(kind, KINDS))
    if f"{kind}:{name}" in known:
        return f"{kind}:{name}"
    names = [target.partition(":")[2] for target in sorted(known) if target.startswith(f"{kind}:")]
    fitting = [one for one in names if one.partition("/")[2] == name]
    if not fitting:
        short = [one.partition("/")[2] for one in names]
        raise NotFound(kind, name, _closest(name, [*names, *filter(None, short)]))
    if len(fitting) > 1:
        raise Conflict("ambiguous", f"several programs have a {kind} {name!r}: say {' or '.join(fitting)}")
    return f"{kind}:{fitting[0]}"


def stop(connection: Connection, merchant: str, target: str, note: str, author: str, clock: Clock) -> bool:
    """Stop a target; False if it was stopped already, which changes nothing. Raises Conflict for an ended connection."""
    kind, _, name = target.partition(":")
    if kind == "connection":
        before = {row.connection: row.state for row in load_states(connection, merchant)}.get(name)
        if before == "ended":
            raise Conflict("connection_ended", f"the connection {name!r} ended, so there is nothing to stop")
        if before is None:
            set_state(connection, merchant, name, "paused", note, clock)
        return before is None
    row = {"merchant": merchant, "target": target, "note": note, "author": author, "since": to_micros(clock.now())}
    changed = saving.insert_new(connection, "switch", [row]) > 0
    if changed:
        bump(connection, merchant)
    return changed


def start(connection: Connection, merchant: str, target: str, clock: Clock) -> bool:
    """Start a target again; False if it was not stopped."""
    kind, _, name = target.partition(":")
    if kind == "connection":
        known = any(row.connection == name for row in load_states(connection, merchant))
        if known:
            set_state(connection, merchant, name, "active", "", clock)
        return known
    gone = delete(switch).where(switch.c.merchant == merchant, switch.c.target == target)
    changed = connection.execute(gone).rowcount > 0
    if changed:
        _let_messages_go(connection, merchant, clock)
        bump(connection, merchant)
    return changed


def _let_messages_go(connection: Connection, merchant: str, clock: Clock) -> None:
    """Look at once at messages that waited for a switch; those of others go on waiting then."""
    waiting = select(message.c.id).where(
        message.c.merchant == merchant, message.c.state == "waiting", message.c.reason == "stopped"
    )
    connection.execute(
        update(outbox)
        .where(outbox.c.merchant == merchant, outbox.c.id.in_(waiting), outbox.c.status == "ready")
        .values(due_at=to_micros(clock.now()))
    )


def _closest(name: str, known: Collection[str]) -> str:
    return next(iter(get_close_matches(name, known, n=1)), "")
