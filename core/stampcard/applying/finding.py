"""Whom the rows of a file of consents mean: members who are there; nobody is made, and nobody taken for another on doubt."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from stampcard.applying.addressing import email_print, phone_print
from stampcard.applying.identifying import waiting_key
from stampcard.applying.setting import Setting
from stampcard.clock import from_micros
from stampcard.domain.addresses import normal_phone
from stampcard.domain.imports import ConsentRow
from stampcard.errors import RowRefused
from stampcard.storage import loading
from stampcard.storage.contacts import by_prints


class Finding:
    """The members of one step's rows."""

    def __init__(self, connection: Connection, setting: Setting, source: str, rows: Sequence[ConsentRow]) -> None:
        self._connection, self._setting, self._source = connection, setting, source
        merchant = setting.merchant
        keys = {(row.connection or source, row.reference) for row in rows if row.reference}
        self._references = {key: one.member for key, one in loading.load_identities(connection, merchant, keys).items()}
        named = {row.member for row in rows if row.member} | set(filter(None, self._references.values()))
        self._standing = loading.standing_for(connection, merchant, named)
        emails = (self._email_prints(row) for row in rows)
        phones = (self._phone_prints(row) for row in rows)
        self._by_print = by_prints(connection, merchant, "email_print", set().union(*emails))
        self._by_print |= by_prints(connection, merchant, "phone_print", set().union(*phones))
        # Whom a file told by address alone is still found by it, whatever theirs is now.
        places = {waiting_key(source, one): one for row in rows for one in self._email_prints(row)}
        waiting = loading.load_identities(connection, merchant, places)
        there = loading.standing_for(connection, merchant, {one.member for one in waiting.values()})
        for key, one in waiting.items():
            if one.member in there:
                self._by_print.setdefault(places[key], set()).add(there[one.member])
        self._buried = loading.load_tombstones(connection, merchant, {one for row in rows for one in self._prints(row)})

    def _email_prints(self, row: ConsentRow) -> set[str]:
        return {email_print(self._setting.sealer, row.email)} if row.email else set()

    def _phone_prints(self, row: ConsentRow) -> set[str]:
        """Of the number as it is written, and as it should be."""
        written = {row.phone, normal_phone(row.phone)} if row.phone else set()
        return {phone_print(self._setting.sealer, one) for one in written if one}

    def _prints(self, row: ConsentRow) -> set[str]:
        source, known = row.connection or self._source, self._email_prints(row) | self._phone_prints(row)
        return known | ({self._setting.sealer.fingerprint(f"{source}\0{row.reference}")} if row.reference else set())

    def find(self, row: ConsentRow) -> str:
        """The member; raises RowRefused for somebody who is none, who was erased since, or who may be several."""
        erased = max((self._buried[one] for one in self._prints(row) if one in self._buried), default=None)
        if erased is not None and from_micros(erased) >= row.at:
            when = f"{from_micros(erased):%Y-%m-%d}"
            raise RowRefused("erased", f"this person was erased on {when} and is not brought back", line=row.line)
        source = row.connection or self._source
        if row.reference and not source:
            remedy = "fill in the connection, or say --connection"
            raise RowRefused(
                "no_connection", "is a reference of nobody knows whom", remedy, line=row.line, value=row.reference
            )
        for named in (row.member, self._references.get((source, row.reference), "") if row.reference else ""):
            if named and named in self._standing:
                return self._standing[named]
        for written, prints in ((row.email, self._email_prints(row)), (row.phone, self._phone_prints(row))):
            found = {id_ for one in prints for id_ in self._by_print.get(one, ())}
            if len(found) > 1:
                problem, remedy = (
                    f"{len(found)} members have this address",
                    "say which by the column member or reference",
                )
                raise RowRefused("ambiguous", problem, remedy, line=row.line, value=written)
            if found:
                return found.pop()
        who = row.member or row.reference or row.email or row.phone
        remedy = "import the members first, or leave the row out"
        raise RowRefused("unknown_member", "is no member", remedy, line=row.line, value=who)
