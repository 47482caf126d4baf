from __future__ import annotations

import binascii
import re
from base64 import b32encode, b64encode, urlsafe_b64decode
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import unquote_plus, urlsplit

import httpx
import pytest

from stampcard.domain.commands import PASS
from stampcard.domain.value import replace
from stampcard.plugin import (
    Delivered,
    Delivery,
    Outcome,
    PassPush,
    PassRemoved,
    PassSaved,
    PassSink,
    PluginError,
    Rejected,
    Reply,
    RetryLater,
    Unknown,
    WebhookSource,
)
from stampcard.testing.clock import NOON
from stampcard.testing.listening import Lines, listening
from stampcard.testing.rules.case import CONNECTION, Case, Vendor, Visit
from stampcard.testing.rules.configuring import SHORTEST
from stampcard.testing.rules.delivering import GARBAGE, HTML, HUGE, LONGEST, LOST, UNSENT
from stampcard.testing.rules.knowing import answering, raising

#: A member's id that stands in no other text.
_MEMBER = "m-of-nobody-else"
#: A serial that is nobody's.
_NOBODYS = "0" * 24
#: What httpx says of each call, where somebody listens to it.
_HTTPX = "HTTP Request: "
_BOUNDARY = re.compile(r'boundary="?([^";\s]+)')
_BASE64 = (re.compile(r"[A-Za-z0-9_-]{12,}"), re.compile(r"[A-Za-z0-9+/]{12,}"))
#: What a card may be like that most are not.
_ODD: Mapping[str, Mapping[str, Any]] = {
    "of nobody with a name": {"holder": ""},
    "of somebody with a long name": {"holder": "Columbine " * 60},
    "of somebody whose name is in another script": {"holder": "ليلى ☕️ 王"},
    "without figures": {"fields": ()},
    "without offers": {"offers": ()},
    "in a language that nothing is written in": {"language": "mi"},
    "in no language": {"language": ""},
    "of somebody who takes no part any more": {"active": False},
    "that notifies": {"notify": True},
}
T = TypeVar("T")


class CarryingRules(Case):
    """How a plugin keeps members' cards in phones."""

    def test_a_pass_is_called_by_its_serial(self) -> None:
        """A pass is known by its serial alone: our id of the member is told to nobody, be it a vendor or a phone that asks."""

        async def tell(visit: Visit) -> None:
            card = self._card(visit, 1, member=_MEMBER)
            _, requests = await _deliver(visit, [card])
            told = " ".join(map(_said, requests))
            said = f"{told} {readable(str(await _link(visit, card, is_there=True)))}"
            if self.phones_fetch:
                reply = await self.fetch_pass(visit, card.serial, {})
                said += _shown(reply)
                assert reply.status == httpx.codes.OK, f"a phone that asks for its pass gets {reply.status}"
                strange = await self.fetch_pass(visit, _NOBODYS, {})
                assert strange.status != httpx.codes.OK, "a serial that is nobody's leads to a pass"
            else:
                assert card.serial in told, f"the vendor was not told the serial: {told[:300]}"
            assert _MEMBER not in said, f"our id of the member was told: {said[:300]}"

        self._run(tell)

    def test_another_figure_on_a_card_is_told(self) -> None:
        """Another figure leads to another call, also where the member is the same; a phone that asks gets another answer."""

        async def tell(visit: Visit) -> None:
            old = self._card(visit, 1)
            # Of a tier that is called otherwise, say: no member changed by that.
            new = replace(old, fields=(replace(old.fields[0], text="98765", number="98765"), *old.fields[1:]))
            await _deliver(visit, [old])
            _, before = await _deliver(visit, [old])
            first = await self._fetched(visit, old)
            visit.clock.advance(timedelta(minutes=1))
            outcomes, after = await _deliver(visit, [new])
            assert [type(outcome) for outcome in outcomes] == [Delivered], outcomes
            assert after, "nobody was told"
            if first is None:
                assert list(map(_whole, before)) != list(map(_whole, after)), "the same is told as before"
                return
            second = await self.fetch_pass(visit, new.serial, _tags(first))
            assert second.status == httpx.codes.OK, f"a phone that has the old card gets {second.status}"
            assert second.body != first.body, "a phone gets the same as before"

        self._run(tell)

    def test_the_same_of_a_card_is_told_alike(self) -> None:
        """The same card leads to the same calls each time, body by body, and is Delivered each time."""

        async def tell(visit: Visit) -> None:
            for changes in ({}, {"notify": True}, {"active": False}):
                card = self._card(visit, 1, **changes)
                # What is made for the first card of all is there afterwards.
                begun, _ = await _deliver(visit, [card])
                first, before = await _deliver(visit, [card])
                shown = await self._fetched(visit, card)
                second, after = await _deliver(visit, [card])
                assert list(map(_whole, before)) == list(map(_whole, after)), "it is told otherwise the second time"
                outcomes = [*begun, *first, *second]
                assert [type(outcome) for outcome in outcomes] == [Delivered] * 3, outcomes
                if shown is not None:
                    again = await self.fetch_pass(visit, card.serial, _tags(shown))
                    same = again.status == httpx.codes.NOT_MODIFIED or again.body == shown.body
                    assert same, "a phone gets another answer the second time"

        self._run(tell)

    def test_a_pass_that_is_refused_stops_no_other(self) -> None:
        """A pass that the vendor refuses is Rejected at its own place; the others are Delivered, also where passes end."""

        async def tell(visit: Visit) -> None:
            count = min(3, visit.sink(PASS).batch_size)
            for place in range(count):
                cards = [self._card(visit, number) for number in range(count)]
                cards[place] = replace(cards[place], serial=self.unfit_serial)
                outcomes, _ = await _deliver(visit, cards)
                expected = [Rejected if one == place else Delivered for one in range(count)]
                assert [type(outcome) for outcome in outcomes] == expected, outcomes
                ended = await _end(visit, [card.serial for card in cards])
                others = [type(outcome) for one, outcome in enumerate(ended) if one != place]
                assert others == [Delivered] * (count - 1), f"ended: {ended}"

        self._skip_without()
        if not self.unfit_serial:
            pytest.skip("the vendor refuses no pass")
        self._run(tell)

    def test_a_link_is_an_address_or_an_error(self) -> None:
        """A link is an https address or a PluginError, whatever the vendor does; while it is well, a pass that is there has one."""

        async def ask(visit: Visit) -> list[str | PluginError]:
            plain = self._card(visit, 1)
            full = self._card(visit, 2, offers=self.pass_push(2).offers * 30)
            return [await _link(visit, card, is_there=is_there) for card in (plain, full) for is_there in (True, False)]

        for link in self._run(ask)[::2]:
            assert isinstance(link, str), f"the vendor is well, and there is no address: {link}"
        for vendor in _troubles():
            self._run(ask, vendor)

    def test_what_is_over_shows_nothing_of_anybody(self) -> None:
        """Passes that end have one outcome each; the holder is told to nobody, and the second time does no harm."""

        async def tell(visit: Visit) -> None:
            for numbers in ([4], range(min(3, visit.sink(PASS).batch_size))):
                cards = [self._card(visit, number) for number in numbers]
                await _deliver(visit, cards)
                for card in cards:
                    await self._fetched(visit, card)
                    visit.passes.pop(card.serial)
                calls = len(visit.requests)
                for time in ("first", "second"):
                    outcomes = await _end(visit, [card.serial for card in cards])
                    assert [type(outcome) for outcome in outcomes] == [Delivered] * len(cards), f"{time}: {outcomes}"
                    assert len(visit.requests) > calls, "nobody was told that it is over"
                said = " ".join(map(_said, visit.requests[calls:]))
                if self.phones_fetch:
                    said += " ".join([_shown(await self.fetch_pass(visit, card.serial, {})) for card in cards])
                _check_untold(cards, [said])

        self._run(tell)

    def test_no_pass_is_over_while_the_vendor_is_in_trouble(self) -> None:
        """Passes whose end the vendor did not take are not Delivered: each is to be ended later, or by people."""

        async def end(visit: Visit) -> list[Outcome]:
            count = min(2, visit.sink(PASS).batch_size)
            return await _end(visit, [self.pass_push(number).serial for number in range(count)])

        for vendor in (*map(_refusing, (401, 403, 429, 500, 502, 503)), *map(raising, (*LOST, *UNSENT))):
            for outcome in self._run(end, vendor):
                assert isinstance(outcome, RetryLater | Unknown | Rejected), f"{outcome!r:.300}"
        for body in (*GARBAGE, *HUGE):
            for outcome in self._run(end, answering(body)):
                unclear = not (isinstance(outcome, Delivered) and self.success_is_in_the_body)
                assert unclear, f"{body[:60]!r} says nothing, and a pass is over by it"
                assert len(getattr(outcome, "reason", "")) <= LONGEST, f"a reason of more than {LONGEST} letters"

    def test_nothing_of_a_card_is_told_on(self) -> None:
        """Name, number, codes and keys stand in no log line, no reason and no error, also where the vendor sends them back."""

        async def use(visit: Visit) -> tuple[list[PassPush], list[str]]:
            cards = [self._card(visit, 1), replace(self.pass_push(2), notify=True)][: visit.sink(PASS).batch_size]
            outcomes, _ = await _deliver(visit, cards)
            links = [await _link(visit, card, is_there=is_there) for card in cards for is_there in (True, False)]
            replies = [await self.fetch_pass(visit, card.serial, {}) for card in cards if self.phones_fetch]
            outcomes += await _end(visit, [card.serial for card in cards])
            said = [getattr(outcome, "reason", "") for outcome in outcomes]
            said += [_shown(reply) for reply in replies if reply.status >= httpx.codes.BAD_REQUEST]
            return cards, [*said, *(str(link) for link in links if isinstance(link, PluginError))]

        for vendor in (self.vendor, *map(_quoting, (200, 400, 404, 409, 422, 429, 500)), _failing):
            heard = Lines()
            cards, said = self._run(use, vendor, heard)
            _check_untold(cards, [*said, *(line for line in heard if not line.startswith(_HTTPX))])

    def test_what_people_do_with_a_pass_names_its_serial(self) -> None:
        """What is told of a pass, by a webhook or to a route, carries its serial; a route tells of passes that there are."""

        async def look(visit: Visit) -> tuple[list[str], list[str]]:
            source = visit.capabilities.webhook
            assert source is not None or not visit.stored, "its routes store, and there is no webhook to decode that"
            if source is None:
                return [], []
            recorded = [self.delivery(one) for one in self.recordings()] if self.topics else []
            stored = [
                Delivery(
                    connection=CONNECTION,
                    key=source.delivery_key(one),
                    topic=one.topic,
                    body=one.body,
                    received_at=NOON,
                )
                for one in visit.stored
            ]
            assert all(one.key for one in stored), "what a route stores has a key"
            assert {*_serials(source, stored)} <= {*visit.passes}, "a route tells of a pass that there is not"
            return _serials(source, recorded), _serials(source, stored)

        heard = [serial for part in self._run(look) for serial in part]
        if not heard:
            pytest.skip("hears of no pass")
        assert all(isinstance(serial, str) and serial.strip() for serial in heard), "what is told names no pass"

    def test_an_odd_card_does_no_harm(self) -> None:
        """A card without a name, without figures, in another script or language is Delivered or Rejected, and has a link or none."""

        async def tell(visit: Visit) -> None:
            for kind, changes in _ODD.items():
                card = self._card(visit, 1, **changes)
                outcomes, _ = await _deliver(visit, [card])
                assert isinstance(outcomes[0], Delivered | Rejected), f"a card {kind}: {outcomes[0]!r:.300}"
                await _link(visit, card, is_there=True)
                await _link(visit, card, is_there=False)
                if self.phones_fetch:
                    reply = await self.fetch_pass(visit, card.serial, {})
                    assert reply.status == httpx.codes.OK, f"a card {kind}: a phone that asks gets {reply.status}"

        self._run(tell)

    def test_a_card_is_given_to_nobody_without_its_proof(self) -> None:
        """Whoever knows a serial and nothing else gets no card, nor does whoever proves that another is theirs."""
        self._skip_without()
        if not self.phones_fetch:
            pytest.skip("no phone asks for its card")

        async def ask(visit: Visit) -> None:
            one, other = self._card(visit, 1), self._card(visit, 2)
            for card in (one, other):
                await _deliver(visit, [card])
            assert (await self.fetch_pass(visit, one.serial, {})).status == httpx.codes.OK
            route, request = visit.asked[-1]
            said = request.headers or "?" in request.url
            assert said or {*request.path.values()} > {one.serial}, "a serial is all that it takes"
            bare = replace(request, url=request.url.partition("?")[0], headers={})
            if not said:
                bare = replace(
                    request, path={name: text if text == one.serial else "guess" for name, text in request.path.items()}
                )
            foreign = replace(
                request,
                url=request.url.replace(one.serial, other.serial),
                path={name: other.serial if text == one.serial else text for name, text in request.path.items()},
            )
            for what, attempt in {"without proof": bare, "with the proof of another": foreign}.items():
                reply = await visit.answer(route, attempt)
                assert reply.status != httpx.codes.OK, f"{what}, a card is given"
                _check_untold([one, other], [_shown(reply)])

        self._run(ask)

    def _skip_without(self) -> None:
        if PASS not in self.sinks:
            pytest.skip("keeps no cards")

    def _card(self, visit: Visit, number: int, **fields: Any) -> PassPush:
        """One of many different cards, with a code that rotates where that can be shown."""
        sink = visit.sink(PASS)
        rotating = self.rotating(number) if isinstance(sink, PassSink) and sink.rotates else None
        return replace(self.pass_push(number), **{"rotating": rotating, **fields})

    def _run(
        self, work: Callable[[Visit], Awaitable[T]], vendor: Vendor | None = None, heard: Lines | None = None
    ) -> T:
        """Do it at a connection with this vendor; what is said meanwhile goes to `heard`. Skips the rule without cards."""
        self._skip_without()
        lines = Lines() if heard is None else heard

        async def within() -> T:
            with listening(lines):
                async with self.visiting(vendor) as visit:
                    try:
                        return await work(visit)
                    finally:
                        lines.extend(visit.lines)

        return self.run(within())

    async def _fetched(self, visit: Visit, card: PassPush) -> Reply | None:
        """What a phone gets, where phones ask for their cards."""
        return await self.fetch_pass(visit, card.serial, {}) if self.phones_fetch else None


def _serials(source: WebhookSource, deliveries: Sequence[Delivery]) -> list[str]:
    """The passes that deliveries tell of."""
    events = [event for one in deliveries for event in source.events(one)]
    return [event.serial for event in events if isinstance(event, PassSaved | PassRemoved)]


async def _deliver(visit: Visit, cards: Sequence[PassPush]) -> tuple[list[Outcome], list[httpx.Request]]:
    """Let the connection's cards be these, and tell of them; answers what became of that, and the calls."""
    visit.passes.update((card.serial, card) for card in cards)
    before = len(visit.requests)
    try:
        outcomes = list(await visit.sink(PASS).deliver(cards))
    except Exception as error:  # noqa: BLE001 - that is the finding
        pytest.fail(f"deliver raised {type(error).__name__}: {error}")
    assert len(outcomes) == len(cards), f"one outcome for each card: {outcomes}"
    return outcomes, visit.requests[before:]


async def _link(visit: Visit, card: PassPush, *, is_there: bool) -> str | PluginError:
    """The address that adds a pass to a phone, or why there is none."""
    sink = visit.sink(PASS)
    assert isinstance(sink, PassSink)
    try:
        link = await sink.link(card, is_there=is_there)
    except PluginError as error:
        return error
    except Exception as error:  # noqa: BLE001 - that is the finding
        pytest.fail(f"link raised {type(error).__name__}, not PluginError: {error}")
    assert isinstance(link, str), f"link gave a {type(link).__name__}"
    parts, plain = urlsplit(link), link.isascii() and link.isprintable() and " " not in link
    assert parts.scheme == "https", f"this is no https address: {link[:100]!r}"
    assert parts.hostname, f"this is no https address: {link[:100]!r}"
    assert plain, f"no browser takes this address as it is: {link[:100]!r}"
    return link


async def _end(visit: Visit, serials: Sequence[str]) -> list[Outcome]:
    sink = visit.sink(PASS)
    assert isinstance(sink, PassSink)
    try:
        outcomes = list(await sink.end(serials))
    except Exception as error:  # noqa: BLE001 - that is the finding
        pytest.fail(f"end raised {type(error).__name__}: {error}")
    assert len(outcomes) == len(serials), f"one outcome for each serial: {outcomes}"
    return outcomes


def _troubles() -> Iterator[Vendor]:
    """All that a vendor may do."""
    yield from map(_refusing, (400, 401, 403, 404, 409, 422, 429, 500, 503))
    yield from map(answering, (*GARBAGE, *HUGE))
    yield from map(raising, (*LOST, *UNSENT))


def _refusing(status: int) -> Vendor:
    return lambda _: httpx.Response(status, text=HTML)


def _quoting(status: int) -> Vendor:
    """A vendor that sends back what it was sent."""
    return lambda request: httpx.Response(status, content=request.content or str(request.url).encode())


def _failing(request: httpx.Request) -> httpx.Response:
    """A network whose errors quote what was sent."""
    raise httpx.ReadTimeout(f"{request.url} {request.content.decode(errors='replace')}", request=request)


def _tags(reply: Reply) -> dict[str, str]:
    """The headers with which a phone asks whether there is something newer."""
    known = {name.lower(): value for name, value in reply.headers.items()}
    asked = {"if-none-match": "etag", "if-modified-since": "last-modified"}
    return {name: known[of] for name, of in asked.items() if of in known}


def _check_untold(cards: Sequence[PassPush], texts: Sequence[str]) -> None:
    """Nothing of a card that is its holder's alone stands in these texts."""
    private = {secret for card in cards for secret in _private(card) if len(secret) >= SHORTEST}
    for text in map(readable, texts):
        for secret in private:
            assert secret not in text, f"{secret!r} of a card shows in {text[:200]}"


def _private(card: PassPush) -> Iterator[str]:
    spaced = " ".join(card.number[place : place + 4] for place in range(0, len(card.number), 4))
    yield from (card.holder, card.number, spaced, card.code, card.page, *(offer.code for offer in card.offers))
    if card.rotating is not None:
        key = bytes.fromhex(card.rotating.key)
        yield from (card.rotating.pattern, card.rotating.key, b64encode(key).decode(), b32encode(key).decode())


def readable(text: str) -> str:
    """A text with what is written in it by percent signs or in Base64, as tokens are."""
    found = [text, unquote_plus(text)]
    for part in {part for pattern in _BASE64 for part in pattern.findall(text)}:
        bare = part.replace("+", "-").replace("/", "_")
        with suppress(binascii.Error):
            found.append(urlsafe_b64decode(bare + "=" * (-len(bare) % 4)).decode(errors="replace"))
    return " ".join(found)


def _said(request: httpx.Request) -> str:
    """All that a request says."""
    parts = (str(request.url), *request.headers.values(), request.content.decode(errors="replace"))
    return readable(" ".join(parts))


def _shown(reply: Reply) -> str:
    """All that an answer of ours says."""
    return readable(" ".join((reply.location, *reply.headers.values(), reply.body.decode(errors="replace"))))


def _whole(request: httpx.Request) -> tuple[str, str, bytes]:
    """A request as it can be compared: between the parts of a body may stand something else each time."""
    boundary = _BOUNDARY.search(request.headers.get("content-type", ""))
    content = request.content if boundary is None else request.content.replace(boundary[1].encode(), b"")
    return request.method, str(request.url), content
