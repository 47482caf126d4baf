"""What a CRM tells of a contact, in the unit of work: field by field, whoever owns it; nothing of it loops."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete

from stampcard.applying.consenting import hear_consent
from stampcard.applying.meeting import ANOTHER, BY_HAND, ERASED, Meeting
from stampcard.applying.registering import changed_attributes
from stampcard.applying.showing import attribute_texts, consent_texts, pictures
from stampcard.clock import to_micros
from stampcard.domain.commands import ERASE_CONTACT, REMOVE_CONTACT, Command
from stampcard.domain.consents import Consent, current
from stampcard.domain.contacts import CONSENT, HOLD, FieldPair
from stampcard.domain.countries import is_country
from stampcard.domain.events import (
    ConsentSeen,
    ContactGone,
    ContactSeen,
    ContactsListed,
    ContactWritten,
    CustomerSeen,
    HoldAsked,
)
from stampcard.domain.members import Member
from stampcard.domain.value import replace
from stampcard.engine.deciding import decide_customer
from stampcard.engine.syncing import (
    AGREED,
    NO,
    OWED,
    YES,
    Base,
    Digest,
    Shown,
    heard,
    is_opt_out,
    judge,
    reason_of,
    same_address,
    seen,
    text_of,
    value_of,
)
from stampcard.host.contacts import Crm
from stampcard.storage import contacts
from stampcard.storage.consenting import load_consents
from stampcard.storage.contacts import Contact, ContactKey, Dispute, Kept
from stampcard.storage.tables import identity

if TYPE_CHECKING:
    from stampcard.applying.unit import Sourced, Unit

_KEPT: Mapping[bool, Kept] = {True: "theirs", False: "ours"}


def load_met(unit: Unit, keys: Collection[ContactKey], members: Collection[str]) -> None:
    """Lock and load the contacts that events tell of, behind their members."""
    connection, merchant, found = unit.connection, unit.setting.merchant, unit.encounters
    found.contacts |= contacts.load_contacts(connection, merchant, keys, lock=True)
    if members:
        found.times |= contacts.attribute_times(connection, merchant, members)
        found.said |= load_consents(connection, merchant, members, unit.setting.sealer, evidence=False)


def hear_contact(unit: Unit, sourced: Sourced, event: ContactSeen, met: Meeting | None) -> str | None:
    """Take in a contact as it was read; answers the member that it is."""
    key = (sourced.source, event.reference)
    crm, known = unit.setting.crms.get(sourced.source), unit.encounters.contacts.get(key)
    if crm is None or met is None:
        return None
    content, at = contacts.content_of(unit.setting.sealer, event), to_micros(event.occurred_at)
    if known is not None and at < known.changed_at:
        if known.state == "linked" and not known.content:
            # Read before we wrote there, and heard behind that: what it says may stand there still.
            unit.encounters.keep(replace(known, content=contacts.ASKED))
            unit.encounters.wanted.add(key)
        return met.member
    if known is not None and (known.content, known.member, known.why) == (content, met.member, met.why):
        return met.member
    fresh = replace(
        known or Contact(connection=key[0], reference=key[1], state="skipped", at=unit.now),
        changed_at=at,
        content=content,
    )
    if met.member is None or not unit.members[met.member].is_there:
        _keep_apart(unit, fresh, met)
        return None
    if met.is_new and not met.made and _has_another(unit, key, met.member):
        _unlink(unit, fresh)
        _keep_apart(unit, fresh, Meeting(why=ANOTHER, candidates=(met.member,)))
        return None
    made = "here" if met.made else fresh.made
    changed = {"at": unit.now} if fresh.state != "linked" or fresh.member != met.member else {}
    linked = replace(fresh, state="linked", why="", member=met.member, made=made, **changed)
    unit.encounters.candidates[key] = ()
    _Hearing(unit, sourced, event, crm, linked).carry_out(is_new=bool(changed))
    return met.member


def _has_another(unit: Unit, key: ContactKey, member: str) -> bool:
    """Whether somebody linked the member to another contact between our look and our lock."""
    others = contacts.contacts_of(unit.connection, unit.setting.merchant, key[0], [member]).get(member, ())
    return any(one.state == "linked" and one.reference != key[1] for one in others)


def _keep_apart(unit: Unit, one: Contact, met: Meeting) -> None:
    """Note a contact that is nobody's, or of which people have to say whose."""
    if met.member is not None:  # erased while we waited for them
        _unlink(unit, one)
        met = Meeting(why=ERASED)
    elif one.state == "linked" and one.member is not None:  # it takes part no more
        _unlink(unit, one)
        end_hold(unit, one.connection, one.member)
    state = "doubtful" if met.is_doubtful else "skipped"
    at = one.at if (one.state, one.why) == (state, met.why) else unit.now
    unit.encounters.keep(replace(one, state=state, why=met.why, member=None, fields={}, at=at))
    if met.why != BY_HAND:  # whoever it was before people parted them stands there on
        unit.encounters.candidates[one.key] = met.candidates


def end_hold(unit: Unit, name: str, member: str) -> None:
    """Let a member go on whom this CRM put on hold, once they have no contact there any more."""
    unit.encounters.told.append(HoldAsked(connection=name, member=member, reason="", occurred_at=unit.now))


def _unlink(unit: Unit, one: Contact) -> None:
    place = (identity.c.connection == one.connection, identity.c.reference == one.reference)
    unit.connection.execute(delete(identity).where(identity.c.merchant == unit.setting.merchant, *place))


def lose_contact(unit: Unit, sourced: Sourced, event: ContactGone) -> str | None:
    """Note that a contact is put away there; the member stays, and no other contact is made for them."""
    key = (sourced.source, event.reference)
    known = unit.encounters.contacts.get(key)
    if known is None or known.state == "gone" or to_micros(event.occurred_at) < known.changed_at:
        return known.member if known is not None else None
    if known.member is None:
        contacts.forget_contact(unit.connection, unit.setting.merchant, key)
        unit.encounters.contacts.pop(key)
        unit.encounters.touched.discard(key)
        return None
    # When it last changed stays: whatever is put back shows that it changed before it was put away.
    unit.encounters.keep(replace(known, state="gone", content="", fields={}, at=unit.now))
    return known.member


def take_over(unit: Unit, event: ContactWritten, met: Meeting | None) -> str | None:
    """Link a contact that was made for a member, unless the member is not there any more."""
    key, member = (event.connection, event.reference), met.member if met is not None else None
    person = unit.members.get(member) if member is not None else None
    known = unit.encounters.contacts.get(key)
    if known is not None and known.member is not None:
        if known.member == member and not known.made:
            unit.encounters.keep(replace(known, made="there"))
        return known.member
    bases = {name: Base(*digests) for name, digests in event.fields.items()}
    one = Contact(
        connection=key[0],
        reference=key[1],
        state="linked",
        at=unit.now,
        member=member,
        fields=bases,
        made="there",
    )
    if person is None or not person.is_there:
        _unlink(unit, one)
        _clear_away(unit, one)
        return None
    unit.encounters.keep(one)
    unit.encounters.candidates[key] = ()
    return member


def _clear_away(unit: Unit, one: Contact) -> None:
    """Take back a contact that was made while its member was erased."""
    crm, name = unit.setting.crms.get(one.connection), one.reference
    kind = ERASE_CONTACT if crm is not None and crm.settings.erase_contacts else REMOVE_CONTACT
    unit.touched.commands.append((one.connection, Command(kind=kind, key=f"{kind}:{name}", member="", reference=name)))
    unit.encounters.keep(replace(one, state="skipped", why=ERASED, member=None, fields={}))


def load_owning(unit: Unit, members: Collection[str]) -> None:
    """Load the contacts of members of whom a shop tells, where a CRM owns what it may tell."""
    for name, crm in unit.setting.crms.items():
        if members and any(pair.owner == "theirs" for pair in crm.pairs):
            of = contacts.contacts_of(unit.connection, unit.setting.merchant, name, members)
            for member, found in of.items():
                unit.encounters.owning.setdefault(member, []).extend(found)


def owned(unit: Unit, event: CustomerSeen, person: Member) -> CustomerSeen:
    """What a shop tells of a customer, without what a CRM owns and has an answer of its own to."""
    kept, digest = dict(event.attributes), digest_of(unit)
    for one in unit.encounters.owning.get(person.id, ()):
        crm = unit.setting.crms.get(one.connection)
        if crm is None or one.state != "linked":
            continue
        for pair in crm.pairs:
            base = one.fields.get(pair.theirs)
            if pair.owner != "theirs" or pair.ours not in kept or base is None or base.theirs == digest(""):
                continue
            told, known = text_of(kept.pop(pair.ours)), text_of(person.attributes.get(pair.ours))
            if told != known:
                _note_kept(unit, one, pair, told, known)
    return replace(event, attributes=kept)


def _note_kept(unit: Unit, one: Contact, pair: FieldPair, told: str, known: str) -> None:
    """Write down that a shop was not heard, once for each thing that it says."""
    merchant, sealer = unit.setting.merchant, unit.setting.sealer
    last = contacts.last_dispute(unit.connection, merchant, sealer, one.key, pair.ours)
    if last is None or (last.ours, last.theirs) != (told, known):
        unit.encounters.disputes.append(
            Dispute(
                id=unit.setting.numbering.next(unit.now),
                connection=one.connection,
                reference=one.reference,
                member=one.member or "",
                field=pair.ours,
                rule="theirs",
                kept="theirs",
                at=unit.now,
                ours=told,
                theirs=known,
            )
        )


def note_times(unit: Unit, before: Member, after: Member | None, at: datetime) -> None:
    """Remember when what changed became so, by the clock of whoever told it."""
    if after is None:
        return
    for name in changed_attributes(before.attributes, after.attributes):
        unit.touched.told_at[before.id, name] = min(at, unit.now)


def digest_of(unit: Unit) -> Digest:
    """What makes digests in this unit of work."""
    unit.encounters.digest = unit.encounters.digest or contacts.digester(unit.setting.sealer)
    return unit.encounters.digest


class _Hearing:
    """One linked contact that is compared with its member."""

    def __init__(self, unit: Unit, sourced: Sourced, event: ContactSeen, crm: Crm, one: Contact) -> None:
        self._unit, self._sourced, self._event, self._crm, self._one = unit, sourced, event, crm, one
        self._digest = digest_of(unit)
        assert one.member is not None, "only a linked contact is compared"
        self._id = one.member
        self._texts = attribute_texts(unit.members[self._id]) | self._consents() | {"member_id": self._id}
        self._figures: Mapping[str, str] | None = None
        self._times = unit.encounters.times.get(self._id, {})
        self._bases = dict(one.fields)
        self._attributes: dict[str, Any] = {}
        self._said: list[ConsentSeen] = []

    def carry_out(self, *, is_new: bool) -> None:
        """Compare every field of the map, and let follow what comes of it."""
        unit, event = self._unit, self._event
        for pair in self._crm.pairs:
            if pair.ours == HOLD or pair.theirs not in event.fields:
                continue  # what was not told is as it was
            if pair.is_figure:
                self._compare_figure(pair)
            else:
                self._compare(pair)
        self._say_no_again()
        one = replace(self._one, fields=self._bases)
        unit.encounters.keep(one)
        # What was owed before, and still is, waits among the pushes already.
        if is_new or any(one.fields[name] != self._one.fields.get(name) for name in one.owed):
            unit.encounters.owed.add((one.connection, self._id))
        if self._crm.settings.segments and not self._one.fields:  # whoever was linked by hand is not new
            self._come_from_lists()
        if self._attributes or is_new:
            # Whoever is new joins now, whenever the contact changed last; who comes with all the others is paid nothing.
            at = unit.now if is_new else event.occurred_at
            seen = CustomerSeen(reference=one.reference, occurred_at=at, attributes=self._attributes)
            before = unit.members[self._id]
            decision = decide_customer(unit.world, seen, before, None, brought=unit.silent or self._crm.looking)
            note_times(unit, before, decision.member, event.occurred_at)
            unit.absorb(decision, self._sourced if decision.changed else None, self._id)
        for said in self._said:
            hear_consent(unit, self._id, said, one.connection)
        self._hold()

    def _say_no_again(self) -> None:
        """A CRM may keep who wants nothing by the address: with another address it has to be said once more."""
        email = next((pair for pair in self._crm.pairs if pair.ours == "email"), None)
        before = self._one.fields.get(email.theirs) if email is not None else None
        if email is None or before is None or before.theirs == self._digest(self._theirs(email)):
            return
        for pair in self._crm.pairs:
            if is_opt_out(pair) and self._texts.get(pair.ours) == NO and self._theirs(pair) != NO:
                self._bases[pair.theirs] = Base(OWED, self._digest(self._theirs(pair)))

    def _come_from_lists(self) -> None:
        """Whoever was in a list before they were linked comes into its segment now."""
        unit, one = self._unit, self._one
        inside = contacts.lists_of(unit.connection, unit.setting.merchant, one.connection, [one.reference])
        for list_id in sorted(inside.get(one.reference, set()) & set(self._crm.settings.segments.values())):
            come = ContactsListed(connection=one.connection, list=list_id, occurred_at=unit.now, come=(one.reference,))
            unit.encounters.told.append(come)

    def _theirs(self, pair: FieldPair) -> str:
        return heard(pair, self._event.fields.get(pair.theirs, ""))

    def _compare_figure(self, pair: FieldPair) -> None:
        """What is known here alone is put right where they show something else."""
        theirs, base = self._theirs(pair), self._bases.get(pair.theirs)
        if base is not None and (base.ours == OWED or self._digest(theirs) == base.theirs):
            return
        if base is not None:
            if self._figures is None:
                merchant_now = (self._unit.connection, self._unit.setting, self._crm, [self._id], self._unit.now)
                picture = pictures(*merchant_now).get(self._id)
                self._figures = picture.texts if picture is not None else {}
            ours = self._figures.get(pair.ours, "")
            if ours != theirs:
                self._dispute(pair, "ours", "ours", ours, theirs)
        self._bases[pair.theirs] = Base(OWED, self._digest(theirs))

    def _compare(self, pair: FieldPair) -> None:
        ours, theirs = seen(pair, self._texts.get(pair.ours, "")), self._theirs(pair)
        if pair.ours == "email" and same_address(ours, self._event.emails):
            theirs_ = self._digest(theirs)
            self._bases[pair.theirs] = Base(self._digest(ours), theirs_)
            return
        base, digest = self._bases.get(pair.theirs), self._digest
        shown = Shown(ours=ours, theirs=theirs, ours_at=self._times.get(pair.ours), theirs_at=self._event.occurred_at)
        verdict = judge(pair, shown, base, digest)
        if verdict == AGREED:
            if ours == theirs:
                self._bases[pair.theirs] = Base(digest(ours), digest(theirs))
            return
        if verdict.takes and not theirs and pair.ours.startswith(CONSENT):
            self._bases[pair.theirs] = Base(digest(ours), digest(theirs))  # nothing is said there any more
            return
        if verdict.writes:
            self._bases[pair.theirs] = Base(OWED, digest(theirs))
        elif not self._take(pair, theirs):
            self._dispute(pair, "unreadable", "neither", ours, theirs)
            self._bases[pair.theirs] = Base(digest(ours), digest(theirs))
            return
        if verdict.rule:
            self._dispute(pair, verdict.rule, _KEPT[verdict.takes], ours, theirs)

    def _take(self, pair: FieldPair, theirs: str) -> bool:
        """Let theirs be ours; False for what our side cannot read."""
        if pair.ours.startswith(CONSENT):
            return self._take_consent(pair, theirs)
        if pair.kind == "country" and theirs and not is_country(theirs):
            return False
        try:
            value = value_of(theirs, self._kinds.get(pair.ours, "string"))
        except (ValueError, ArithmeticError):
            return False
        self._attributes[pair.ours] = value
        self._bases[pair.theirs] = Base(self._digest(seen(pair, text_of(value))), self._digest(theirs))
        return True

    def _take_consent(self, pair: FieldPair, theirs: str) -> bool:
        if theirs not in {YES, NO}:
            return False
        _, channel, purpose = pair.ours.split(".")
        at, last = self._event.occurred_at, current(self._history()).get(f"{channel}.{purpose}")
        if theirs == NO and last is not None:  # a no counts, also where ours was said later
            at = max(at, last.at)
        self._said.append(
            ConsentSeen(
                customer=self._one.reference,
                channel=channel,
                purpose=purpose,
                state="given" if theirs == YES else "withdrawn",
                occurred_at=at,
            )
        )
        self._bases[pair.theirs] = Base(self._digest(theirs), self._digest(theirs))
        return True

    @property
    def _kinds(self) -> Mapping[str, str]:
        """What kind of value each attribute has, as the programs declare it; a birthday is a day everywhere."""
        unit = self._unit
        declared = {"birthday": "date"}
        for live in unit.setting.programs.current(unit.now):
            declared.update(live.program.attribute_types)
        return declared

    def _consents(self) -> dict[str, str]:
        if not any(pair.ours.startswith(CONSENT) for pair in self._crm.pairs):
            return {}
        return consent_texts(self._history())

    def _history(self) -> list[Consent]:
        """What the member said of being addressed, with what this unit of work heard."""
        unit = self._unit
        mine = [one for of, one in unit.touched.consents if of == self._id]
        return [*unit.encounters.said.get(self._id, ()), *mine]

    def _dispute(self, pair: FieldPair, rule: str, kept: Kept, ours: str, theirs: str) -> None:
        unit = self._unit
        unit.encounters.disputes.append(
            Dispute(
                id=unit.setting.numbering.next(unit.now),
                connection=self._one.connection,
                reference=self._one.reference,
                member=self._id,
                field=pair.ours,
                rule=rule,
                kept=kept,
                at=unit.now,
                ours=ours,
                theirs=theirs,
            )
        )

    def _hold(self) -> None:
        """Ask for the hold that the contact's field or lists say, or for its end."""
        unit, name = self._unit, self._one.connection
        pair = next((pair for pair in self._crm.pairs if pair.ours == HOLD), None)
        if pair is None and not self._crm.settings.hold_lists:
            return
        if pair is not None and pair.theirs not in self._event.fields:
            return
        reason = reason_of(self._theirs(pair)) if pair is not None else ""
        if not reason and self._crm.settings.hold_lists:
            inside = contacts.lists_of(unit.connection, unit.setting.merchant, name, [self._one.reference])
            on = sorted(inside.get(self._one.reference, set()) & set(self._crm.settings.hold_lists))
            reason = f"is in the list {on[0]}" if on else ""
        held = unit.members[self._id].held
        is_ours = held is not None and held.reason.startswith(f"{name}: ")
        if (reason and held is None) or (not reason and is_ours):
            wanted = f"{name}: {reason}" if reason else ""
            asked = HoldAsked(connection=name, member=self._id, reason=wanted, occurred_at=unit.now)
            unit.encounters.told.append(asked)
