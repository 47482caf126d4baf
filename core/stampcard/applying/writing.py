"""How a unit of work is written: what it touched, in the order in which rows are locked."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, tuple_

from stampcard.applying.announcing import announce
from stampcard.applying.changing import MARKED, change_of, kinds_of, perk_kind
from stampcard.applying.encountering import owe_contacts, save_encounters
from stampcard.applying.enlisting import owe_audiences
from stampcard.applying.outgoing import owe_passes, queue, send_out
from stampcard.applying.registering import save_members
from stampcard.applying.rewarding import save_redemptions
from stampcard.clock import to_micros
from stampcard.domain.awards import Award
from stampcard.domain.commands import Command
from stampcard.domain.consents import Consent
from stampcard.domain.decisions import Change
from stampcard.domain.events import CustomEvent
from stampcard.domain.members import Member
from stampcard.domain.orders import EMPTY
from stampcard.domain.rewards import Redemption
from stampcard.domain.value import replace
from stampcard.engine.counting import CounterKey
from stampcard.engine.world import AwardKey
from stampcard.storage import rows, saving
from stampcard.storage.addressing import AddressKey, save_addresses
from stampcard.storage.alerting import alert_row
from stampcard.storage.capping import save_bases
from stampcard.storage.consenting import save_consent
from stampcard.storage.entitling import save_perks, save_uses
from stampcard.storage.proving import save_proofs, save_requests
from stampcard.storage.segmenting import save_segments
from stampcard.storage.subscribing import save_plans, save_terms
from stampcard.storage.tables import order_state
from stampcard.storage.tiering import save_progress, save_tiers

if TYPE_CHECKING:
    from stampcard.applying.unit import Unit


@dataclass(slots=True)
class Touched:
    """What is to be written, beside the values themselves: which orders and wallets changed, rows that are new.

    `heard`: events of members that messages may be on, `asked`: what they said that is to be confirmed. `before`: members as they were. `said`: members who said something about being addressed, `consents`: what sources heard
    them say. `addresses`: those that customers have now, with whose they are. `told_at`: when each attribute of a member became what it
    is, by the clock of whoever told it. `effects`: keys of events that count from now
    on; their rows are written already.
    """

    orders: set[tuple[str, str]] = field(default_factory=set)
    awards: dict[tuple[str, AwardKey], Award] = field(default_factory=dict)
    wallets: set[tuple[str, str]] = field(default_factory=set)
    counters: dict[CounterKey, int] = field(default_factory=dict)
    redemptions: dict[str, Redemption] = field(default_factory=dict)
    commands: list[tuple[str, Command]] = field(default_factory=list)
    before: dict[str, Member] = field(default_factory=dict)
    fetches: set[tuple[str, str, str]] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)
    debits: dict[str, dict[str, Any]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    consents: list[tuple[str, Consent]] = field(default_factory=list)
    addresses: dict[AddressKey, tuple[str | None, str]] = field(default_factory=dict)
    told_at: dict[tuple[str, str], datetime] = field(default_factory=dict)
    effects: list[str] = field(default_factory=list)
    heard: list[tuple[str, CustomEvent]] = field(default_factory=list)
    asked: list[tuple[str, Consent]] = field(default_factory=list)

    def copied(self) -> Touched:
        """The same, to go back to."""
        return Touched(*(copy.copy(getattr(self, one.name)) for one in fields(self)))


def write(unit: Unit) -> list[Change]:
    """Write everything that changed in a unit of work; answers what changed for whom."""
    connection, merchant, now = unit.connection, unit.setting.merchant, to_micros(unit.now)
    changes = _changes(unit)
    people = {id_: (before, unit.members[id_]) for id_, before in unit.touched.before.items()}
    save_members(connection, unit.setting, unit.now, people, unit.touched.told_at)
    sealer = unit.setting.sealer
    orders = [rows.order_row(merchant, unit.orders[key], now, sealer) for key in unit.touched.orders]
    saving.upsert(connection, "order_state", orders)
    _give_back_reserved(unit)
    saving.upsert(connection, "award", [rows.award_row(merchant, award) for award in unit.touched.awards.values()])
    saving.insert(connection, "entry", [rows.entry_row(merchant, entry) for entry in unit.entries])
    saving.upsert(connection, "lot", list(_lot_rows(unit)))
    wallets = [rows.balance_row(merchant, unit.wallets[key]) for key in unit.touched.wallets]
    saving.upsert(connection, "balance", wallets)
    saving.upsert(connection, "debit", list(unit.touched.debits.values()))
    save_redemptions(connection, unit.setting, unit.touched.redemptions.values())
    save_tiers(connection, merchant, [(id_, tier) for (id_, _), tier in sorted(unit.tiers.tiers.items())])
    save_progress(connection, merchant, unit.tiers.touched)
    save_bases(connection, merchant, unit.bases.touched)
    save_proofs(connection, merchant, unit.verdicts.proofs)
    save_requests(connection, merchant, sealer, unit.verdicts.requests.values())
    save_terms(connection, merchant, unit.terms.touched)
    save_plans(connection, merchant, unit.terms.plans, unit.now)
    save_perks(connection, merchant, unit.grants.perks)
    save_uses(connection, merchant, [(key[0], one) for key, one in unit.grants.uses.items()])
    save_segments(connection, merchant, *unit.crossings.places(), unit.now)
    queue(connection, unit.setting, unit.now, unit.touched.commands)
    counted = [{"merchant": merchant, **key._asdict(), "value": value} for key, value in unit.touched.counters.items()]
    saving.upsert(connection, "counter", counted)
    # What budgets have reached stands among the events.
    unit.touched.events += [
        alert_row(merchant, unit.setting.numbering.next(unit.now), one, unit.now) for one in unit.alerts
    ]
    saving.insert(connection, "event", unit.touched.events)
    fetches = [
        {"merchant": merchant, "connection": c, "kind": k, "reference": r, "wanted_at": now, "due_at": now}
        for c, k, r in unit.touched.fetches
    ]
    saving.upsert(connection, "fetch", fetches)
    seen = [
        {"merchant": merchant, "connection": c, "reference": r, "member": member, "seen_at": to_micros(at)}
        for (c, r), (member, at) in unit.seen.items()
    ]
    saving.upsert(connection, "identity", seen)
    save_addresses(connection, merchant, unit.touched.addresses, unit.now)
    save_encounters(unit)
    for member, consent in unit.touched.consents:
        save_consent(connection, merchant, sealer, unit.setting.numbering.next(unit.now), member, consent)
    if not unit.silent:
        send_out(connection, unit.setting, unit.now, unit.members, changes)
    announce(unit)
    owe_contacts(unit)
    owe_passes(unit)
    owe_audiences(unit)
    return changes


def _give_back_reserved(unit: Unit) -> None:
    """Remove the places of orders that were held and then not filled, because their delivery was refused."""
    unfilled = sorted(unit.reserved - unit.touched.orders)
    if unfilled:
        unit.connection.execute(
            delete(order_state).where(
                order_state.c.merchant == unit.setting.merchant,
                tuple_(order_state.c.source, order_state.c.reference).in_(unfilled),
                order_state.c.state == rows.to_json(EMPTY),
            )
        )


def _lot_rows(unit: Unit) -> Iterable[dict[str, Any]]:
    for key in unit.touched.wallets:
        before = unit.loaded.get(key)
        for number, lot in unit.wallets[key].lots.items():
            if before is None or before.lots.get(number) is not lot:
                yield rows.lot_row(unit.setting.merchant, *key, lot)


def _changes(unit: Unit) -> list[Change]:
    """What changed for whom; each of them has a new version then."""
    kinds = kinds_of(
        unit.entries, unit.touched.redemptions.values(), unit.touched.before, unit.members, unit.tiers.happened
    )
    for member in unit.touched.said:
        kinds.setdefault(member, set()).add("consent")
    for member, changed in unit.crossings.happened:
        kinds.setdefault(member, set()).add("segment_entered" if changed.entered else "segment_left")
    for member, happened in unit.grants.happened:
        kinds.setdefault(member, set()).add(perk_kind(happened))
    for member, verdict in unit.verdicts.happened:
        kinds.setdefault(member, set()).add(f"proof_{verdict.way}")
    for member, moved in unit.terms.happened:
        kinds.setdefault(member, set()).add(f"plan_{moved.way}")
    for member in unit.grants.marked:
        kinds.setdefault(member, set()).add(MARKED)
    for member in sorted(kinds):
        person = unit.members[member]
        unit.touched.before.setdefault(member, person)
        unit.members[member] = replace(person, version=person.version + 1)
    scales = {name: unit.scale_of(name) for name in {name for _, name in unit.wallets}}
    return [
        change_of(
            unit.members[member],
            kinds[member],
            {name: unit.wallets[member, name] for name in sorted(scales) if (member, name) in unit.wallets},
            unit.loaded,
            scales,
            unit.touched.redemptions.values(),
            unit.tiers.happened,
            unit.grants.happened,
            unit.terms.happened,
            unit.verdicts.happened,
            unit.now,
        )
        for member in sorted(kinds)
    ]
