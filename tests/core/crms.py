"""A merchant with a shop and CRMs: what both tell goes straight into the unit of work, or comes from a CRM in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace as changed
from datetime import datetime, timedelta
from typing import Any

from tests.core.shops import Shop

from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.clock import Clock, to_micros
from stampcard.domain.commands import CONTACT
from stampcard.domain.consents import current
from stampcard.domain.members import Member
from stampcard.domain.value import replace
from stampcard.host.connecting import Connection
from stampcard.host.contacts import Crm
from stampcard.inbox.preparing import prepare
from stampcard.plugin import (
    Capabilities,
    Choice,
    ConnectionContext,
    ContactPage,
    ContactPush,
    Contacts,
    ContactSeen,
    ContactSettings,
    CustomerSeen,
    Delivered,
    Delivery,
    Event,
    FieldPair,
    MalformedPayload,
    MemberPage,
    Outcome,
    Person,
    PluginManifest,
    Refetch,
    Rejected,
    RetryPolicy,
    UnverifiedRequest,
    VerifiedRequest,
    WebhookSource,
    hookimpl,
)
from stampcard.storage import contacts, loading
from stampcard.storage.consenting import load_consents
from stampcard.storage.contacts import Contact, Dispute
from stampcard.storage.database import Database
from stampcard.storage.inboxing import claim
from stampcard.storage.revising import current as current_revision
from stampcard.storage.segmenting import load_segments
from stampcard.testing.applying import OWNER, apply, store
from stampcard.testing.applying import prepare as told_of

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
attributes: {cups: integer, height: number, vegan: boolean, since: date, colour: string}
segments:
  friends: {}
  fans: {}
  vegans: {when: member.attributes.vegan == true}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
"""
DEFAULTS: Mapping[str, Choice] = {
    "member_id": "loyalty_id",
    "points": "loyalty_points",
    "email": "email",
    "first_name": "firstname",
    "phone": "phone",
    "consent.email.marketing": "newsletter",
}


def crm(name: str = "crm", **settings: Any) -> Crm:
    """A connection to a CRM with these settings."""
    read = ContactSettings.model_validate(settings)
    return Crm(name=name, settings=read, pairs=read.pairs(DEFAULTS))


def with_crms(setting: Setting, *crms: Crm) -> Setting:
    """The same with these CRMs beside the shop."""
    names = {one.name for one in crms}
    return changed(
        setting,
        active=frozenset({"shop", *names}),
        fetching=frozenset({"shop", *names}),
        targets={"shop": ("balance",), **dict.fromkeys(names, (CONTACT,))},
        plugins=dict.fromkeys(names, "book"),
        matching=frozenset({"email", "phone"}),
        crms={one.name: one for one in crms},
    )


class Desk(Shop):
    """What a shop and CRMs tell, each in a transaction of its own, and what came of it."""

    def __init__(self, database: Database, setting: Setting, *crms: Crm) -> None:
        self.connections: dict[str, Connection] = {}
        super().__init__(database, with_crms(setting, *(crms or (crm(),))), PROGRAM)

    def hears(self, source: str, *events: Event) -> None:
        for event in events:
            (delivery,) = store(self.database, self.setting, b"{}", connection=source)
            (settled,) = apply(self.database, self.setting, [told_of(delivery, event, source=source)], self.clock.now())
            assert (settled.status, settled.detail) == ("done", "")
        self.hears_itself()

    def looks_again(self) -> None:
        """What somebody changed of programs or connections is known from now on."""
        number = self.database.read_now(lambda c: current_revision(c, "main"))
        self.setting = changed(self.setting, programs=replace(self.setting.programs, revision=number))

    def hears_itself(self) -> None:
        """Apply what follows: what we tell ourselves."""
        self.looks_again()
        while rows := self.database.write_now(lambda c: claim(c, "main", OWNER, self.clock.now(), 50)):
            for one in prepare(rows, self.connections, {}, self.setting.sealer):
                (settled,) = apply(self.database, self.setting, [one], self.clock.now())
                assert settled.status == "done", settled

    def customer(self, reference: str, *, verified: bool = True, **attributes: Any) -> str:
        """A customer as the shop has them now; answers the member."""
        self.clock.advance(timedelta(seconds=1))
        kinds = frozenset(attributes) & {"email", "phone"} if verified else frozenset[str]()
        event = CustomerSeen(reference=reference, occurred_at=self.clock.now(), attributes=attributes, verified=kinds)
        self.hears("shop", event)
        return self.member(reference)

    def contact(
        self,
        reference: str,
        email: str = "",
        *,
        emails: Sequence[str] = (),
        phones: Sequence[str] = (),
        member: str = "",
        at: datetime | None = None,
        source: str = "crm",
        **fields: str,
    ) -> Contact:
        """A contact as the CRM has it now; answers what is known of it."""
        if at is None:
            self.clock.advance(timedelta(seconds=1))
            at = self.clock.now()
        addresses = (*([email] if email else []), *emails)
        shown = dict.fromkeys(_theirs(self.setting.crms.get(source)), "")
        shown |= {"email": addresses[0] if addresses else "", **fields}
        if phones and "phone" not in fields:
            shown["phone"] = phones[0]
        self.hears(
            source,
            ContactSeen(
                reference=reference,
                occurred_at=at,
                fields=shown,
                emails=addresses,
                phones=tuple(phones),
                member=member,
            ),
        )
        return self.known(reference, source)

    def known(self, reference: str, source: str = "crm") -> Contact:
        found = self.find(reference, source)
        assert found is not None
        return found

    def find(self, reference: str, source: str = "crm") -> Contact | None:
        key = (source, reference)
        return self.database.read_now(lambda c: contacts.load_contacts(c, "main", [key])).get(key)

    def candidates(self, reference: str) -> list[str]:
        return self.database.read_now(lambda c: contacts.candidates_of(c, "main", ("crm", reference)))

    def disputes(self) -> list[Dispute]:
        """The newest first."""
        sealer = self.setting.sealer
        return self.database.read_now(lambda c: contacts.disputes_before(c, "main", sealer, "", "", None, 50))

    def said(self) -> list[tuple[str, str, str, str, str]]:
        """Conflicts, the oldest first: field, ours, theirs, rule, kept."""
        return [(one.field, one.ours, one.theirs, one.rule, one.kept) for one in reversed(self.disputes())]

    def person(self, id_: str) -> Member:
        sealer = self.setting.sealer
        return self.database.read_now(
            lambda c: loading.load_members(c, "main", [id_], sealer, attributes=True, lock=False)
        )[id_]

    def consents(self, id_: str) -> dict[str, str]:
        sealer = self.setting.sealer
        found = self.database.read_now(lambda c: load_consents(c, "main", [id_], sealer, evidence=False))
        return {name: one.state for name, one in current(found.get(id_, ())).items()}

    def segments(self, id_: str) -> set[str]:
        found = self.database.read_now(lambda c: load_segments(c, "main", [id_]))
        return set(found.get(id_, {}).get("main", set()))

    def does(self, work: Callable[[Any], Any]) -> Any:
        """A request of a person; answers what it came to."""
        return self.act(lambda unit: Answer(status=200, body={"found": work(unit)}))["found"]


class Crms:
    """A plugin whose connections have these books; one that is called `bare` has no contacts."""

    def __init__(self, **books: Book) -> None:
        self.books = books

    @hookimpl
    def plugin_manifest(self) -> PluginManifest:
        return PluginManifest(name="book", summary="for tests", settings=ContactSettings)

    @hookimpl
    async def connect(self, context: ConnectionContext[ContactSettings]) -> Capabilities:
        book = self.books.get(context.name)
        if book is None:
            return Capabilities()
        return Capabilities(webhook=Records(), contacts=book, fetch=book.fetch)


class Records(WebhookSource):
    """Decodes what the CRM in memory delivers."""

    def verify(self, request: UnverifiedRequest) -> VerifiedRequest:
        raise NotImplementedError

    def delivery_key(self, request: VerifiedRequest) -> str:
        raise NotImplementedError

    def events(self, delivery: Delivery) -> Iterable[Event | Refetch]:
        told = json.loads(delivery.body)
        if "reference" not in told:
            raise MalformedPayload("it says nothing")
        return [
            ContactSeen(
                reference=told["reference"],
                occurred_at=datetime.fromisoformat(told["at"]),
                fields=told["fields"],
                emails=tuple(told["emails"]),
                phones=tuple(told["phones"]),
                member=told["member"],
            )
        ]


class Book(Contacts):
    """A CRM in memory: contacts by their references, in the order in which they changed; it remembers each call.

    `trouble`: what is raised instead of the next answers. `outcomes`: what is answered instead of the next writes, though
    they are done in truth. `forgets`: fields that it has no place for.
    """

    defaults = DEFAULTS
    retry = RetryPolicy(waits=(1.0, 1.0))
    every = timedelta(minutes=5)
    lag = timedelta(minutes=2)
    page = 2

    def __init__(self, clock: Clock, name: str = "crm", batch_size: int = 100) -> None:
        self.clock, self.name, self.batch_size = clock, name, batch_size
        self.people: dict[str, dict[str, str]] = {}
        self.more: dict[str, dict[str, Sequence[str]]] = {}
        self.changed_at: dict[str, datetime] = {}
        self.archived: set[str] = set()
        self.lists: dict[str, set[str]] = {}
        self.trouble: list[BaseException] = []
        self.outcomes: list[Outcome] = []
        self.calls: list[tuple[Any, ...]] = []
        self.written: list[ContactPush] = []
        self.meanwhile: Callable[[], None] | None = None
        self.prepared: list[Sequence[FieldPair]] = []
        self.forgets: set[str] = set()

    def add(self, reference: str, email: str = "", *, emails: Sequence[str] = (), **fields: str) -> None:
        self.people[reference] = {"email": email, **fields}
        self.more[reference] = {"emails": ([email] if email else []) + list(emails)}
        self.changed_at[reference] = self.clock.now()

    def edit(self, reference: str, **fields: str) -> None:
        self.people[reference] |= fields
        self.changed_at[reference] = self.clock.now()

    def delivery(self, reference: str) -> Delivery:
        """A contact as it is read now."""
        one, at = self.people[reference], self.changed_at[reference]
        body = {
            "reference": reference,
            "at": at.isoformat(),
            "fields": {name: one.get(name, "") for name in (*_theirs(), "stage", "hold") if name not in self.forgets},
            "emails": self.more[reference]["emails"],
            "phones": [one["phone"]] if one.get("phone") else [],
            "member": one.get("loyalty_id", ""),
        }
        text = json.dumps(body, sort_keys=True).encode()
        return Delivery(
            connection=self.name,
            key=f"{reference}:{hashlib.sha256(text).hexdigest()[:16]}",
            topic="contact",
            body=text,
            received_at=self.clock.now(),
            read_at=to_micros(self.clock.now()),
        )

    def _call(self, *what: Any) -> None:
        self.calls.append(what)
        if self.meanwhile is not None:
            work, self.meanwhile = self.meanwhile, None
            work()
        if self.trouble:
            raise self.trouble.pop(0)

    async def prepare(self, pairs: Sequence[FieldPair], *, dry_run: bool = False) -> Sequence[str]:
        self._call("prepare", dry_run)
        self.prepared.append(pairs)
        return ["the field loyalty_points"] if len(self.prepared) == 1 else []

    async def write(self, items: Sequence[ContactPush]) -> Sequence[Outcome]:
        self._call("write", len(items))
        self.written += items
        answers = [self._write(item) for item in items]
        planned = [self.outcomes.pop(0) for _ in answers[: len(self.outcomes)]]
        return [*planned, *answers[len(planned) :]]

    def _write(self, item: ContactPush) -> Outcome:
        reference = item.reference
        if not reference:
            mine = next((of for of, one in self.people.items() if one.get("loyalty_id") == item.member), None)
            same = next((of for of, one in self.more.items() if item.fields.get("email") in one["emails"]), None)
            if mine is None and same is not None:
                return Delivered(result={"reference": same, "found": True})
            reference = mine or f"N{len(self.people) + 1}"
            if mine is None:
                self.add(reference, item.fields.get("email", ""))
        if reference in self.archived or reference not in self.people:
            return Rejected(reason="there is no such contact", gone=True)
        self.edit(reference, **item.fields)
        for name, inside in item.lists.items():
            of = self.lists.setdefault(name, set())
            (of.add if inside else of.discard)(reference)
        return Delivered(result={"reference": reference, "fields": dict(item.fields)})

    async def find(self, people: Sequence[Person]) -> Sequence[Sequence[Delivery]]:
        self._call("find", tuple(one.member for one in people))
        return [
            [
                self.delivery(of)
                for of, one in self.people.items()
                if of not in self.archived
                and (set(person.emails) & set(self.more[of]["emails"]) or one.get("phone") in person.phones)
            ]
            for person in people
        ]

    async def changed(self, since: datetime, place: str = "") -> ContactPage:
        self._call("changed", since, place)
        ordered = sorted((at, of) for of, at in self.changed_at.items() if at >= since and of not in self.archived)
        behind = [
            of for _, of in ordered if not place or (self.changed_at[of].isoformat(), of) > tuple(place.split("|"))
        ]
        shown = behind[: self.page]
        last = shown[-1] if shown else ""
        more = f"{self.changed_at[last].isoformat()}|{last}" if len(behind) > self.page else ""
        return ContactPage(deliveries=tuple(map(self.delivery, shown)), place=more)

    async def read(self, place: str = "") -> ContactPage:
        self._call("read", place)
        behind = sorted(of for of in self.people if of > place and of not in self.archived)
        shown = behind[: self.page]
        return ContactPage(
            deliveries=tuple(map(self.delivery, shown)), place=shown[-1] if len(behind) > self.page else ""
        )

    async def count(self) -> int | None:
        self._call("count")
        return len(self.people)

    async def remove(self, references: Sequence[str]) -> Sequence[Outcome]:
        self._call("remove", tuple(references))
        self.archived |= set(references)
        return [Delivered() for _ in references]

    async def erase(self, references: Sequence[str]) -> Sequence[Outcome]:
        self._call("erase", tuple(references))
        for of in references:
            self.people.pop(of, None)
        return [Delivered() for _ in references]

    async def in_list(self, list_id: str, place: str = "") -> MemberPage:
        self._call("in_list", list_id, place)
        behind = sorted(of for of in self.lists.get(list_id, ()) if of > place)
        shown = behind[: self.page]
        return MemberPage(references=tuple(shown), place=shown[-1] if len(behind) > self.page else "")

    async def fetch(self, wanted: Sequence[Refetch]) -> Sequence[Delivery]:
        """Records as they are read one by one."""
        self._call("fetch", tuple(one.reference for one in wanted))
        return [self.delivery(one.reference) for one in wanted if one.reference in self.people]

    def called(self, *kinds: str) -> list[tuple[Any, ...]]:
        """The calls of these kinds, and the list is empty again."""
        found, self.calls = [one for one in self.calls if one[0] in kinds or not kinds], []
        return found


def _theirs(known: Crm | None = None) -> Collection[str]:
    """The fields of which a CRM tells, also where nothing stands in them."""
    pairs = known.pairs if known is not None else ContactSettings().pairs(DEFAULTS)
    return [pair.theirs for pair in pairs]


def connected(book: Book, **settings: Any) -> Connection:
    """The connection whose contacts a book has."""
    read = ContactSettings.model_validate(settings)
    able = Capabilities(webhook=Records(), contacts=book, fetch=book.fetch)
    return Connection(name=book.name, plugin="book", settings=read, capabilities=able)
