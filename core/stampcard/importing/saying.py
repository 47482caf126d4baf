"""A record understood as what a member said, or as an address that gets no messages. Pure; refuses with reasons."""

from __future__ import annotations

from typing import get_args

from stampcard.domain.consents import ConsentState
from stampcard.domain.imports import REASONS, ConsentRow, SuppressionRow
from stampcard.importing.files import Record
from stampcard.importing.parsing import email_of, phone_of, word_of
from stampcard.importing.reading import Cells, Manner, one_of, past

_STATES: tuple[str, ...] = get_args(ConsentState)
#: Who may be meant, in the order in which it is looked for.
WHO = ("member", "reference", "email", "phone")


def consent_of(manner: Manner, record: Record) -> ConsentRow:
    """What a member said; raises RowRefused."""
    cells = Cells(manner, record)
    if not any(cells.text(field) for field in WHO):
        raise cells.refuse("nobody", "says of nobody who they are", "fill in the address, or the member's id", "email")
    for field in ("channel", "purpose", "state", "at"):
        if not cells.text(field):
            raise cells.refuse("missing", f"a consent needs {field}", "fill it in", field)
    return ConsentRow(
        line=record.line,
        **{field: cells.read(field, str) or "" for field in (*WHO, "connection", "source", "text", "ip")},
        channel=cells.read("channel", word_of),
        purpose=cells.read("purpose", word_of),
        state=cells.read("state", one_of("state", _STATES)),
        at=cells.read("at", past(manner, "nobody said it later than now")),
    )


def suppression_of(manner: Manner, record: Record) -> SuppressionRow:
    """An address that gets nothing by a channel; raises RowRefused."""
    cells = Cells(manner, record)
    channel = cells.read("channel", word_of) or manner.channel
    if not channel:
        raise cells.refuse("missing", "an address needs a channel", "fill it in, or say --channel", "channel")
    if not cells.text("address"):
        raise cells.refuse("missing", "there is no address", "fill it in", "address")
    how = {"email": email_of, "sms": phone_of}.get(channel, str)
    return SuppressionRow(
        line=record.line,
        channel=channel,
        address=cells.read("address", how),
        reason=cells.read("reason", one_of("reason", REASONS)) or "imported",
        at=cells.read("at", past(manner, "leave it empty for now")),
        note=cells.read("note", str) or "",
    )
