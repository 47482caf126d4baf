"""Members' cards as phones show them: asked for, pictured, saved and taken off."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from stampcard.applying.locking import lock_member, present
from stampcard.applying.setting import Setting
from stampcard.applying.showing import figures
from stampcard.applying.unit import Unit
from stampcard.clock import Clock
from stampcard.domain.commands import PASS
from stampcard.domain.events import PassRemoved, PassSaved
from stampcard.domain.members import Member
from stampcard.domain.passes import CardDesign, CardOffer, PassPush
from stampcard.domain.value import Value, replace
from stampcard.engine.cards import design_of, digest_of, fields_of
from stampcard.engine.codes import lasting_code, new_number, rotating_code
from stampcard.engine.tokens import card_token
from stampcard.engine.versions import LiveProgram
from stampcard.errors import Conflict, NotFound, RequestRefused
from stampcard.host.passes import PhoneWallet
from stampcard.storage import cards, loading, passes, rows
from stampcard.storage.database import Database
from stampcard.storage.passes import Pass
from stampcard.storage.pushing import owe
from stampcard.storage.tables import redemption

#: Within which time notices of one pass are counted.
NOTICED = timedelta(hours=24)
#: Where the page of a card is, and where a code that is a link leads.
PAGE, SCANNED = "/pass/", "/k/"
#: A number that is another's already is drawn again so often.
_DRAWS = 5


class Pictured(Value, frozen=True):
    """A pass with what it is to show now; `content`: the digest of that."""

    of: Pass
    push: PassPush
    content: str

    @property
    def is_new(self) -> bool:
        """Whether that is something else than what it shows."""
        return self.of.is_kept and self.content != self.of.content

    def shown(self, now: datetime, *, noticed: bool) -> Pass:
        """The pass once it was delivered."""
        lately = tuple(at for at in self.of.noticed if now - at < NOTICED)
        return replace(self.of, content=self.content, first=self.first, noticed=(*lately, now) if noticed else lately)

    @property
    def first(self) -> str:
        """The first figure, with its name, and where it is a number not as it is written in a language."""
        return next((f"{one.name}:{one.number or one.text}" for one in self.push.fields[:1]), "")

    @property
    def is_noticed(self) -> bool:
        """Whether the first figure is another than before; that another figure is the first is no news."""
        before, after = self.of.first, self.first
        return bool(self.of.content) and before != after and before.partition(":")[0] == after.partition(":")[0]


def number_of(unit: Unit, member: str) -> str:
    """The number of a member's card, made where there is none yet; raises NotFound."""
    lock_member(unit, member)
    present(unit, member)
    return ensure_number(unit, member)


def ensure_number(unit: Unit, member: str) -> str:
    """The number of the card of a member who is locked or new, made where there is none yet."""
    merchant = unit.setting.merchant
    known = cards.numbers_of(unit.connection, merchant, [member]).get(member)
    if known is not None:
        return known
    for _ in range(_DRAWS):
        number = new_number()
        if cards.add_card(unit.connection, merchant, member, number, unit.now):
            return number
    raise Conflict("no_number", "no number was free: try again")


def number_for_pass(unit: Unit, live: LiveProgram, member: str) -> str:
    """The number of the card of a member who is locked, where a phone's wallet would take it; else nothing."""
    takers = (program_of(unit.setting, phone, unit.now) for phone in unit.setting.phones.values())
    return ensure_number(unit, member) if any(one is not None and one.name == live.name for one in takers) else ""


def renew_card(unit: Unit, member: str) -> str:
    """Give a member a card of another number: the codes and links of the old one are worth nothing any more."""
    lock_member(unit, member)
    present(unit, member)
    cards.drop_cards(unit.connection, unit.setting.merchant, [member])
    number = ensure_number(unit, member)
    for name in {one.connection for one in passes.passes_of(unit.connection, unit.setting.merchant, [member])}:
        owe(unit.connection, unit.setting.merchant, name, PASS, [member], unit.now)
    return number


def ask_for_pass(unit: Unit, member: str, name: str) -> Pass:
    """The pass of a member at a phone's wallet, made where there is none; raises NotFound, RequestRefused."""
    phone = unit.setting.phones.get(name)
    if phone is None:
        raise NotFound("wallet", name)
    lock_member(unit, member)
    person = present(unit, member)
    live = program_of(unit.setting, phone, unit.now)
    if live is None or live.name not in person.programs:
        raise RequestRefused("not_a_member", "the member does not take part in the program whose card this is")
    ensure_number(unit, member)
    merchant = unit.setting.merchant
    known = passes.passes_of(unit.connection, merchant, [member], name)
    if known:
        return known[-1]
    one = Pass(connection=name, serial=secrets.token_hex(12), member=member, made_at=unit.now)
    passes.add_pass(unit.connection, merchant, one)
    owe(unit.connection, merchant, name, PASS, [member], unit.now)
    return one


def hear_pass(unit: Unit, name: str, event: PassSaved | PassRemoved) -> None:
    """Write down that a pass was saved or removed; what is older than what is known of it changes nothing."""
    merchant, at = unit.setting.merchant, event.occurred_at
    one = passes.find_pass(unit.connection, merchant, name, event.serial)
    latest = (
        max((moment for moment in (one.saved_at, one.removed_at) if moment is not None), default=None) if one else None
    )
    if one is None or (latest is not None and at < latest):
        return
    passes.note_saved(unit.connection, merchant, one, at, saved=isinstance(event, PassSaved))
    if isinstance(event, PassSaved) and not one.is_kept:  # what changed while nobody had it is shown now
        owe(unit.connection, merchant, name, PASS, [one.member], unit.now)


def program_of(setting: Setting, phone: PhoneWallet, now: datetime) -> LiveProgram | None:
    """The program whose card a phone's wallet shows: the one that its settings name, or else the first."""
    return next((live for live in setting.programs.current(now) if phone.settings.program in {"", live.name}), None)


def terms_of(setting: Setting, phone: PhoneWallet, now: datetime) -> str:
    """What the look of all cards at a phone's wallet follows from; empty where no program is valid."""
    live = program_of(setting, phone, now)
    return "" if live is None else f"{live.name} {live.number} {phone.rotates} {setting.public_url}"


def pictured(
    connection: Connection, setting: Setting, name: str, members: Collection[str], now: datetime
) -> list[Pictured]:
    """What the passes of these members at one connection are to show; nothing is locked, whoever is not there is left out."""
    phone = setting.phones.get(name)
    live = program_of(setting, phone, now) if phone is not None else None
    known = passes.passes_of(connection, setting.merchant, members, name) if live is not None else []
    if phone is None or live is None or not known:
        return []
    people = loading.load_members(
        connection, setting.merchant, {one.member for one in known}, setting.sealer, attributes=True, lock=False
    )
    people = {id_: one for id_, one in people.items() if one.is_there}
    numbers = cards.numbers_of(connection, setting.merchant, people)
    wanted = [field.show for field in live.program.card.fields]
    texts = figures(connection, setting, wanted, live, people, now)
    offers = _offers(connection, setting, live, people) if live.program.card.offers else {}
    design, found = design_of(live), list[Pictured]()
    for one in known:
        if one.member in people and one.member in numbers:
            of = people[one.member]
            push = _push(
                setting, phone, live, design, one, of, numbers[one.member], texts[of.id], offers.get(of.id, ())
            )
            found.append(_noticing(Pictured(of=one, push=push, content=digest_of(push)), phone, now))
    return found


def _push(
    setting: Setting,
    phone: PhoneWallet,
    live: LiveProgram,
    design: CardDesign,
    one: Pass,
    member: Member,
    number: str,
    texts: Mapping[str, str],
    offers: Sequence[CardOffer],
) -> PassPush:
    merchant, sealer, card = setting.merchant, setting.sealer, live.program.card
    before = f"{setting.public_url}{SCANNED}" if card.opens and card.code != "code_128" else ""
    language = str(member.attributes.get("language") or "").replace("_", "-") or design.language
    rotates = card.rotates and phone.rotates
    names = (str(member.attributes.get(name) or "") for name in ("first_name", "last_name"))
    takes_part = live.name in member.programs and member.states.get(live.name, "active") not in {"left", "closed"}
    return PassPush(
        member=member.id,
        version=member.version,
        serial=one.serial,
        language=language,
        design=design,
        holder=" ".join(filter(None, names)),
        number=number,
        code=before + lasting_code(sealer, merchant, number),
        page=f"{setting.public_url}{PAGE}{card_token(sealer, merchant, number)}",
        fields=fields_of(live, texts, language),
        rotating=rotating_code(sealer, merchant, number, before) if rotates else None,
        offers=tuple(offers),
        active=takes_part,
    )


def _noticing(one: Pictured, phone: PhoneWallet, now: datetime) -> Pictured:
    """The same, saying whether its holder is to be notified: of another first figure, as often as the vendor lets us."""
    lately = sum(now - at < NOTICED for at in one.of.noticed)
    if phone.settings.notify and one.is_noticed and lately < phone.notices:
        return replace(one, push=replace(one.push, notify=True))
    return one


def _offers(
    connection: Connection, setting: Setting, live: LiveProgram, members: Collection[str]
) -> dict[str, list[CardOffer]]:
    """Member → the rewards that they hold in a program and have not used."""
    statement = (
        select(redemption)
        .where(
            redemption.c.merchant == setting.merchant,
            redemption.c.member.in_(sorted(members)),
            redemption.c.program == live.name,
            redemption.c.status == "issued",
            redemption.c.withdrawn == 0,
        )
        .order_by(redemption.c.created_at, redemption.c.id)
    )
    found: dict[str, list[CardOffer]] = {}
    for row in connection.execute(statement):
        one = rows.redemption_of(row, setting.sealer)
        code = one.voucher.code if one.voucher is not None and one.kind != "points" else ""
        title = one.voucher.title if one.voucher is not None else one.reward
        offer = CardOffer(id=one.id, title=title, code=code, ends_at=one.valid_until)
        found.setdefault(one.member, []).append(offer)
    return found


class StoredPasses:
    """The cards of one connection, for a vendor whose phones ask us for them."""

    def __init__(self, database: Database, clock: Clock, setting: Callable[[], Setting], name: str) -> None:
        self._database, self._clock, self._setting, self._name = database, clock, setting, name

    async def find(self, serial: str) -> PassPush | None:
        """The card as it is now; None for a serial that is nobody's."""
        setting, now = self._setting(), self._clock.now()

        def work(connection: Connection) -> PassPush | None:
            one = passes.find_pass(connection, setting.merchant, self._name, serial)
            if one is None:
                return None
            shown = pictured(connection, setting, self._name, [one.member], now)
            return next((picture.push for picture in shown if picture.of.serial == serial), None)

        return await self._database.read(work)
