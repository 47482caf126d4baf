"""A HubSpot portal that exists only here: it serves its API and sends signed webhooks, for tests and the demo.

It shares no code with the plugin, so that each proves the other.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from aiohttp import web

from stampcard.plugin import Clock
from stampcard.testing.simulator import SignedRequest, Simulator
from stampcard_hubspot.simulated_api import Api, Call
from stampcard_hubspot.simulated_batches import Batches
from stampcard_hubspot.simulated_book import Book, Contact, Happening, Writer
from stampcard_hubspot.simulated_events import KINDS, Events, by_app, by_person, signed, written
from stampcard_hubspot.simulated_faults import Fault, Faults, Quota
from stampcard_hubspot.simulated_forging import Forger
from stampcard_hubspot.simulated_hooks import Hooks
from stampcard_hubspot.simulated_lists import Lists
from stampcard_hubspot.simulated_objects import Objects
from stampcard_hubspot.simulated_people import People
from stampcard_hubspot.simulated_plan import PortalPlan
from stampcard_hubspot.simulated_routes import (
    of_account,
    of_contacts,
    of_lists,
    of_properties,
    of_statuses,
    of_timeline,
)
from stampcard_hubspot.simulated_sampling import Sampling
from stampcard_hubspot.simulated_schema import Schema
from stampcard_hubspot.simulated_search import Index
from stampcard_hubspot.simulated_statuses import Statuses
from stampcard_hubspot.simulated_timeline import Timeline, TimelineEvent
from stampcard_hubspot.simulated_tokens import SCOPES, Tokens
from stampcard_hubspot.simulated_values import millis_of

_PERSON = 50_100_001
#: What samples are signed for until somebody says where they go.
_NOWHERE = "https://simulated.example/webhooks/hubspot"


def build(seed: int) -> HubSpotSimulator:
    """The simulator behind the entry point."""
    return HubSpotSimulator(seed)


class HubSpotSimulator(Simulator):
    """One portal with its contacts, lists and timelines, an app that is installed in it, and people who work there.

    Nothing is told before the app has an address: assign `target_url` and `deliver`, or `tell_to` one.
    """

    def __init__(self, seed: int, plan: PortalPlan | None = None, clock: Clock | None = None) -> None:
        super().__init__(seed, clock)
        self._plan = plan = plan or PortalPlan()
        made_up = random.Random(f"portal {seed}")
        self.portal_id, self.app_id = made_up.randrange(10**7, 10**8), made_up.randrange(10**6, 10**7)
        self.client_id, self.client_secret = (f"{made_up.getrandbits(128):032x}" for _ in range(2))
        chance = random.Random(f"events {seed}")
        self._events = Events(self.portal_id, self.app_id, chance, shared_ids=plan.shared_ids, watched=plan.watched)
        self.hooks = Hooks(self._target, lambda: self.client_secret, self.now, plan.journey, self.tally, chance)
        self._index = Index(self.now, int(plan.lag * 1000))
        self.schema = Schema()
        first = made_up.randrange(10**9, 10**10)
        self.book = Book(self.schema, first, self.now, self._happened, self._index.note)
        self.lists = Lists(self.book, self.now)
        self.timeline = Timeline(self.book, self.now)
        self.statuses = Statuses(self.book, self.now)
        self.people = People(self.book, self.lists, self.statuses, by_person(_PERSON), self._merged)
        self.tokens = Tokens(self.portal_id, self.client_id, self.client_secret, self.now, made_up)
        self.access_token = self.tokens.issue()
        told = Events(self.portal_id, self.app_id, random.Random(f"sampled {seed}"), shared_ids=0.0, watched=None)
        self._sampling = Sampling(self.people, told, random.Random(f"samples {seed}"))
        self._sampled: list[Happening] | None = None
        self._forger = Forger(self._target)
        self._forger.secrets.append(self.client_secret)
        self._faults = Faults(self.tally, random.Random(f"faults {seed}"), plan.api_failures)
        self._api = self._made_api()

    def now(self) -> int:
        """Milliseconds since 1970 by the portal's clock."""
        return millis_of(self.clock.now())

    def settings(self) -> dict[str, object]:
        return {
            "portal_id": self.portal_id,
            "app_id": self.app_id,
            "access_token": self.access_token,
            "webhook_secrets": [self.client_secret],
            **self._reached(),
        }

    def oauth_settings(self) -> dict[str, object]:
        """The settings of a connection that asks for its tokens over OAuth."""
        told = {name: value for name, value in self.settings().items() if name != "access_token"}
        return told | {"client_id": self.client_id, "client_secret": self.client_secret}

    def topics(self) -> Sequence[str]:
        return KINDS

    def drastic(self) -> frozenset[str]:
        return frozenset({"contact.privacyDeletion", "contact.merge"})

    def unfit(self, settings: Mapping[str, object]) -> str:
        return "" if _secret(settings) else "takes no webhooks in: it has no webhook_secrets"

    def sample(self, topic: str, *, settings: Mapping[str, object] | None = None) -> SignedRequest:
        given = self.settings() if settings is None else settings
        if why := self.unfit(given):
            message = f"the connection {why}"
            raise ValueError(message)
        self._sampled = []
        try:
            event = self._sampling.make(topic, self._sampled)
        finally:
            self._sampled = None
        told = {"portalId": given.get("portal_id"), "appId": given.get("app_id")}
        event |= {name: value for name, value in told.items() if value is not None}
        secret = _secret(given)
        if secret not in self._forger.secrets:
            self._forger.secrets.append(secret)
        return signed(written([event]), secret, self._target(), self.now())

    def renewed(self, request: SignedRequest) -> SignedRequest:
        secret = self._forger.secret_of(request)
        return signed(request.body, secret, self._target(), self.now()) if secret else request

    def forge(self, request: SignedRequest, chance: random.Random) -> SignedRequest:
        return self._forger.forged(request, chance)

    def application(self) -> web.Application:
        return self._api.application()

    async def stop(self) -> None:
        await self.hooks.end()
        await super().stop()

    async def deliver(self) -> int:
        """Send all webhooks that are queued; answers how many events were taken."""
        if not self.target_url:
            message = "the app has no address yet: assign target_url"
            raise RuntimeError(message)
        return await self.hooks.deliver()

    def tell_to(self, target_url: str, *, route: str = "") -> None:
        """Send webhooks there as changes happen, until `stop`; `route`: where that address really leads, if elsewhere."""
        self.target_url, self.hooks.route = target_url, route
        self.hooks.begin()

    def sent(self, kind: str = "") -> int:
        """How many events left, of all kinds or of one."""
        return self.hooks.counts[kind] if kind else self.hooks.counts.total()

    @property
    def calls(self) -> list[Call]:
        """Every call that somebody with a good token made."""
        return self._api.calls

    def fail(self, part: str, status: int = 0, *, retry_after: int = 0, done: bool = False, times: int = 1) -> None:
        """Let the next calls with this in their path fail; status 0: no answer at all."""
        self._faults.plan(part, Fault(status, retry_after, done), times)

    def new_token(self, scopes: Sequence[str] = SCOPES) -> str:
        """Another access token of a private app, with these scopes alone."""
        return self.tokens.issue(scopes)

    def add(self, **properties: str) -> str:
        """Somebody makes a contact; answers its number. What else people do stands in `people`."""
        return self.people.add(**properties)

    def edit(self, id_: str, **properties: str) -> None:
        self.people.edit(id_, **properties)

    def delete(self, id_: str) -> None:
        self.people.delete(id_)

    def forget(self, id_: str) -> None:
        self.people.forget(id_)

    def restore(self, id_: str) -> None:
        self.people.restore(id_)

    def merge(self, kept: str, gone: str) -> str:
        return self.people.merge(kept, gone)

    def add_to_list(self, list_id: str, id_: str) -> None:
        self.people.add_to_list(list_id, id_)

    def remove_from_list(self, list_id: str, id_: str) -> None:
        self.people.remove_from_list(list_id, id_)

    def contact(self, id_: str) -> Contact:
        return self.people.contact(id_)

    def contacts(self) -> Sequence[Contact]:
        return self.people.contacts()

    def timeline_of(self, id_: str) -> list[TimelineEvent]:
        return self.timeline.of(self.contact(id_).id)

    def _target(self) -> str:
        return self.target_url or _NOWHERE

    def _reached(self) -> dict[str, object]:
        if not self.is_serving:
            return {}
        return {"api_url": self.api_url, "authorize_url": self.api_url}

    def _happened(self, happened: Happening) -> None:
        if self._sampled is not None:
            self._sampled.append(happened)
        elif self.target_url:
            self.hooks.tell(self._events.of(happened))

    def _merged(self, kept: Contact, gone: Contact, writer: Writer) -> Contact:
        winner = self.book.merge(kept, gone, writer, anew=self._plan.anew)
        self.lists.merged([kept.id, gone.id], winner.id)
        return winner

    def _made_api(self) -> Api:
        plan, objects = self._plan, Objects(self.book, self._index, self._merged)
        routes = [
            *of_contacts(objects, Batches(self.book, self.now)),
            *of_properties(self.schema, self.now),
            *of_lists(self.lists),
            *of_timeline(self.timeline),
            *of_statuses(self.statuses),
            *of_account(self.portal_id),
        ]
        private, public = (
            Quota(self.now, calls, plan.searches, plan.daily) for calls in (plan.calls, plan.public_calls)
        )
        writer = by_app(self.app_id)
        return Api(routes, self.tokens, self._faults, private, public, self.tally, writer)


def _secret(settings: Mapping[str, object]) -> str:
    told = settings.get("webhook_secrets") or settings.get("client_secret") or ""
    return str(told[0]) if isinstance(told, list | tuple) else str(told)
