"""One webhook of each kind, about contacts that are made up for it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from stampcard_hubspot.simulated_book import Happening
from stampcard_hubspot.simulated_events import KINDS, Event, Events
from stampcard_hubspot.simulated_people import People

_NAMES = ("Ada", "Grace", "Edith", "Mary", "Emmy", "Lise")


class Sampling:
    """Lets people do something in the portal that no other webhook tells of."""

    def __init__(self, people: People, events: Events, chance: random.Random) -> None:
        self._people, self._events, self._chance = people, events, chance
        self._turns: Mapping[str, Callable[[str], object]] = {
            "contact.creation": lambda _: None,
            "contact.propertyChange": lambda id_: people.edit(id_, lastname="Sample"),
            "contact.deletion": people.delete,
            "contact.privacyDeletion": people.forget,
            "contact.merge": lambda id_: people.merge(id_, self._somebody()),
            "contact.restore": self._restored,
        }

    def make(self, topic: str, heard: list[Happening]) -> Event:
        """The event, of what is `heard` to happen; raises ValueError for a topic that there is none of."""
        if topic not in self._turns:
            message = f"no sample of {topic!r}; there are {', '.join(KINDS)}"
            raise ValueError(message)
        self._turns[topic](self._somebody())
        happened = [one for one in heard if one.kind == topic]
        return next(event for event in self._events.of(happened[-1]) if event["subscriptionType"] == topic)

    def _somebody(self) -> str:
        name = self._chance.choice(_NAMES)
        address = f"{name}.{self._chance.getrandbits(40):010x}@simulated.example"
        return self._people.add(email=address.lower(), firstname=name)

    def _restored(self, id_: str) -> None:
        self._people.delete(id_)
        self._people.restore(id_)
