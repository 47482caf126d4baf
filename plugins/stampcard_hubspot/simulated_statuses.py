"""Who wants no marketing e-mail any more, which the simulated HubSpot keeps with the address and shows in a property."""

from __future__ import annotations

from collections.abc import Callable

from stampcard_hubspot.simulated_batches import Answer
from stampcard_hubspot.simulated_bodies import Asked
from stampcard_hubspot.simulated_book import Book, Contact, Writer
from stampcard_hubspot.simulated_errors import Body, invalid
from stampcard_hubspot.simulated_values import iso

OPT_OUT = "hs_email_optout"


class Statuses:
    """Opt-outs of all e-mail, by address and with the moment of each."""

    def __init__(self, book: Book, now: Callable[[], int]) -> None:
        self.out: dict[str, int] = {}
        self._book, self._now = book, now

    def opt_out(self, address: str, writer: Writer) -> None:
        """Let nothing be sent there any more; whoever has the address shows it."""
        self.out.setdefault(address.lower(), self._now())
        contact = self._book.find(address, "email")
        if contact is not None:
            self._book.change(contact, {OPT_OUT: "true"}, writer)

    def opt_in(self, contact: Contact, writer: Writer) -> None:
        """A person wants e-mail again, which is for them alone to say."""
        self.out.pop(contact.get("email"), None)
        self._book.change(contact, {OPT_OUT: "false"}, writer)

    def unsubscribe(self, asked: Asked) -> Answer:
        address = _address(asked)
        self.opt_out(address, asked.writer)
        return 200, self._answer(address)

    def get(self, asked: Asked) -> Answer:
        return 200, self._answer(_address(asked))

    def _answer(self, address: str) -> Body:
        at, since = iso(self._now()), self.out.get(address)
        told = {"channel": "EMAIL", "status": "UNSUBSCRIBED", "subscriberIdString": address}
        shown = [told | {"wideStatusType": "PORTAL_WIDE", "timestamp": iso(since)}] if since is not None else []
        return {"status": "COMPLETE", "results": shown, "startedAt": at, "completedAt": at}


def _address(asked: Asked) -> str:
    if asked.query.get("channel") != "EMAIL":
        raise invalid("the channel must be EMAIL", channel=[asked.query.get("channel", "")])
    return asked.path["address"].lower()
