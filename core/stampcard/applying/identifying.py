"""Who the rows of a file are: members who are known, or new ones; nobody is taken for another on doubt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import BindParameter, Connection, bindparam, delete, select, update

from stampcard.applying.addressing import email_print, phone_print
from stampcard.applying.setting import Setting
from stampcard.clock import from_micros
from stampcard.domain.commands import OWN
from stampcard.domain.imports import Row
from stampcard.errors import RowRefused
from stampcard.storage import loading
from stampcard.storage.numbering import new_member_id
from stampcard.storage.tables import identity, member

_M: BindParameter[str] = bindparam("merchant")
_BY_EMAIL = select(member.c.id, member.c.email_print).where(
    member.c.merchant == _M, member.c.email_print.in_(bindparam("prints", expanding=True))
)
_UNADDRESSED = select(member.c.id).where(
    member.c.merchant == _M, member.c.id.in_(bindparam("ids", expanding=True)), member.c.email_print.is_(None)
)
#: (connection, reference)
IdentityKey = tuple[str, str]


class Found(NamedTuple):
    """Whose row it is; `made`: nobody knew them before this file."""

    member: str
    made: bool


class Identifying:
    """The people of one step's rows, with what is known of each."""

    def __init__(self, connection: Connection, setting: Setting, source: str, rows: Sequence[Row]) -> None:
        self._connection, self._setting, self._source = connection, setting, source
        merchant, keys = setting.merchant, {(source, row.reference) for row in rows if row.reference}
        self._references: dict[str, str] = {
            key[1]: row.member for key, row in loading.load_identities(connection, merchant, keys).items()
        }
        self._buried = loading.load_tombstones(
            connection, merchant, {print_ for row in rows for print_ in self._prints(row)}
        )
        self._by_email: dict[str, set[str]] = {}
        self._here: dict[str, set[str]] = {}
        self._waiting: set[IdentityKey] = set()
        self._load_addresses({self.email_print(row.email) for row in rows if row.email})
        #: Those without an address: theirs is that of their first row that has one.
        self._unaddressed = self._load_unaddressed()
        #: Identities that are new, and those that only held a place until the shop's own was known.
        self.added: dict[IdentityKey, str] = {}
        self.claimed: set[IdentityKey] = set()
        self.made: set[str] = set()

    def _load_unaddressed(self) -> set[str]:
        ids = sorted(set(self._references.values()))
        if not ids:
            return set()
        of = {"merchant": self._setting.merchant, "ids": ids}
        return set(self._connection.execute(_UNADDRESSED, of).scalars())

    def email_print(self, email: str) -> str:
        """What an address is found by."""
        return email_print(self._setting.sealer, email)

    def _prints(self, row: Row) -> list[str]:
        sealer = self._setting.sealer
        found = [sealer.fingerprint(f"{self._source}\0{row.reference}")] if row.reference else []
        found += [self.email_print(row.email)] if row.email else []
        phone = row.attributes.get("phone")
        return found + ([phone_print(sealer, str(phone))] if phone else [])

    def _load_addresses(self, prints: set[str]) -> None:
        if not prints:
            return
        merchant = self._setting.merchant
        for row in self._connection.execute(_BY_EMAIL, {"merchant": merchant, "prints": sorted(prints)}):
            self._by_email.setdefault(row.email_print, set()).add(row.id)
        places = {waiting_key(self._source, print_): print_ for print_ in prints}
        for key, waiting in loading.load_identities(self._connection, merchant, places).items():
            self._waiting.add(key)
            self._by_email.setdefault(places[key], set()).add(waiting.member)
        ids = {id_ for of in self._by_email.values() for id_ in of}
        for id_, known in loading.load_identities_of(self._connection, merchant, ids).items():
            self._here[id_] = {row.reference for row in known if row.connection == self._source}

    def find(self, row: Row) -> Found:
        """Raises RowRefused for somebody who was erased, and where it cannot be told who is meant."""
        erased = [self._buried[print_] for print_ in self._prints(row) if print_ in self._buried]
        if erased or (row.reference and self._references.get(row.reference) == ""):
            when = f" on {from_micros(max(erased)):%Y-%m-%d}" if erased else ""
            raise RowRefused("erased", f"this person was erased{when} and is not brought back", line=row.line)
        known = self._references.get(row.reference, "") if row.reference else ""
        print_ = self.email_print(row.email) if row.email else ""
        if known:
            if print_ and known in self._unaddressed:
                self._by_email.setdefault(print_, set()).add(known)
                self._unaddressed.discard(known)
            return Found(known, made=known in self.made)
        found = self._by_address(row, print_) if print_ else ""
        id_ = found or new_member_id()
        if not found:
            self.made.add(id_)
        self._remember(row, id_, print_)
        return Found(id_, made=id_ in self.made)

    def _by_address(self, row: Row, print_: str) -> str:
        """The one member with this address; nothing where there is none."""
        of = self._by_email.get(print_, set())
        if len(of) > 1:
            problem = f"{len(of)} members have this address"
            raise RowRefused("ambiguous", problem, "say which by the column reference", line=row.line, value=row.email)
        found = next(iter(of), "")
        if found and row.reference and self._here.get(found):
            problem = "is the address of another customer of the connection"
            raise RowRefused(
                "other_customer", problem, "merge them there, or leave one out", line=row.line, value=row.email
            )
        return found

    def _remember(self, row: Row, id_: str, print_: str) -> None:
        """Let the next rows of this step find the same member."""
        if print_:
            self._by_email.setdefault(print_, set()).add(id_)
        elif id_ in self.made:
            self._unaddressed.add(id_)
        if row.reference:
            self._references[row.reference] = id_
            self._here.setdefault(id_, set()).add(row.reference)
            self.added[self._source, row.reference] = id_
            place = waiting_key(self._source, print_)
            if place in self._waiting:
                self.claimed.add(place)
            self.added.pop(place, None)
        elif id_ in self.made and not self._here.get(id_):
            self.added[waiting_key(self._source, print_)] = id_


def waiting_key(source: str, print_: str) -> IdentityKey:
    """The place of a member of whom a file told the address alone, until the connection says how it calls them."""
    return OWN, f"{source}:{print_}"


def claim(connection: Connection, setting: Setting, addresses: Mapping[IdentityKey, str]) -> set[IdentityKey]:
    """Give new identities to the members whom a file knew by their address alone; answers which were given.

    The first to come has them: whoever comes later with the same address is somebody else.
    """
    merchant, places = setting.merchant, dict[IdentityKey, IdentityKey]()
    for key, address in addresses.items():
        places.setdefault(waiting_key(key[0], email_print(setting.sealer, address)), key)
    given: set[IdentityKey] = set()
    for place, row in sorted(loading.load_identities(connection, merchant, places).items()):
        mine = (identity.c.merchant == merchant, identity.c.connection == place[0], identity.c.reference == place[1])
        if not connection.execute(delete(identity).where(*mine)).rowcount:
            continue
        source, reference = places[place]
        new = (identity.c.merchant == merchant, identity.c.connection == source, identity.c.reference == reference)
        connection.execute(update(identity).where(*new).values(member=row.member))
        given.add(places[place])
    return given
