from __future__ import annotations

import math
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import pytest

from stampcard.domain.commands import AUDIENCE, PASS, STATES
from stampcard.domain.value import replace
from stampcard.plugin import (
    Delivered,
    Dial,
    Health,
    Outcome,
    Rejected,
    RetryLater,
    Sink,
    Unknown,
)
from stampcard.testing.rules.case import Case, Mood, Vendor, Visit

HTML = "<!doctype html><html><body>" + "<p>We are down for maintenance.</p>" * 20 + "</body></html>"
GARBAGE = (b"", b"\xff\xfe", b"null", b"[]", b"{}", b'{"ok"', b'"' + b"x" * 200, HTML.encode())
HUGE = (b"x" * 2_000_000, b"[" * 200_000, b'{"a":' * 200_000, HTML.encode() * 1_000)
#: The answer never came, or not whole, though the request may have arrived.
LOST = (httpx.ReadTimeout, httpx.WriteTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
#: The request never left.
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
#: What dialling may end in before anything left.
UNDIALLED = (ConnectionRefusedError, TimeoutError, socket.gaierror)
#: What somebody else may say where the vendor should greet.
GREETINGS = (b"", b"\r\n", b"\xff\xfe\r\n", b"x" * 70_000, b"HTTP/1.1 400 Bad Request\r\n\r\n" + HTML.encode())
#: What a vendor might write where seconds should stand.
UNREADABLE = ("", "soon", "-5", "nan", "inf", "9" * 5000, "1e3", "٣", "Wed, 21 Oct 2026 07:28:00 GMT")
#: Where a simulator might stand.
ELSEWHERE = "http://127.0.0.1:9/simulated"
#: A reason is for people and is stored: this is plenty.
LONGEST = 500


class DeliveringRules(Case):
    """What leaves: one honest outcome for each item, whatever the vendor does."""

    def test_what_the_vendor_takes_is_delivered(self) -> None:
        """When the vendor is well, each item of a batch of any allowed size is Delivered."""
        for kind in self._kinds():
            most = self._declared(kind).batch_size
            for count in sorted({0, 1, min(2, most), most}):
                outcomes = self._send(kind, count, self.vendor)
                assert [type(outcome) for outcome in outcomes] == [Delivered] * count, f"{kind}: {outcomes}"

    def test_each_item_has_its_own_outcome_in_order(self) -> None:
        """An item that the vendor refuses is Rejected at its own place, and the others are Delivered."""
        for kind in self._kinds():
            if kind in {AUDIENCE, PASS}:  # whose items have no reference: rules of their own look at those
                continue
            if not self.unfit_reference:
                pytest.skip("the vendor refuses no reference")
            count = min(3, self._declared(kind).batch_size)
            for place in range(count):
                outcomes = self._send(kind, count, self.vendor, unfit=place)
                expected = [Rejected if position == place else Delivered for position in range(count)]
                assert [type(outcome) for outcome in outcomes] == expected, f"{kind}: {outcomes}"

    def test_all_calls_go_to_the_api_url(self) -> None:
        """Whatever is called lies below `api_url`, or a simulator could not stand in; whatever is dialled, the settings name."""
        visit = self.run(self._used())
        urls = [str(request.url) for request in visit.requests]
        strays = [url for url in urls if not (self.calls_by_http and url.startswith(f"{ELSEWHERE}/"))]
        assert strays == [], f"api_url was {ELSEWHERE}" if self.calls_by_http else "nobody is called by HTTP"
        assert visit.settings is not None
        named = set(visit.settings.outbound_hosts())
        unnamed = [(host, port) for host, port in visit.dialled if named.isdisjoint({host, f"{host}:{port}"})]
        assert unnamed == [], f"outbound_hosts names {sorted(named)}"

    async def _used(self) -> Visit:
        """A connection that has been used for all that it sends, with `api_url` elsewhere."""
        changes: dict[str, Any] = {"api_url": ELSEWHERE} if self.calls_by_http else {}
        async with self.visiting(**changes) as visit:
            for sink in visit.capabilities.sinks:
                await sink.deliver([self.item(sink.kind, 1)])  # type: ignore[list-item]
            for channel in visit.capabilities.channels:
                message = self.message(channel, 1)
                await channel.send([message])
                await channel.lookup(message, visit.clock.now() - channel.visible_after)
            if visit.capabilities.check_health is not None:
                await visit.capabilities.check_health()
        return visit

    def test_too_many_requests_are_sent_later(self) -> None:
        """429 is RetryLater, after as many seconds as Retry-After says."""
        for kind in self._kinds():
            for seconds in (7, 90):
                answer = _answering(429, HTML, {"retry-after": str(seconds)})
                for outcome in self._send(kind, 2, answer):
                    assert isinstance(outcome, RetryLater), f"{kind}: {outcome}"
                    assert outcome.after == seconds, f"{kind}: Retry-After was {seconds}"

    def test_an_unreadable_retry_after_does_no_harm(self) -> None:
        """429 is RetryLater also if Retry-After is missing or is no number of seconds, and `after` stays finite."""
        for kind in self._kinds():
            for text in UNREADABLE:
                answer = _answering(429, "", {"retry-after": text.encode()} if text else {})
                for outcome in self._send(kind, 1, answer):
                    assert isinstance(outcome, RetryLater), f"{kind}: {outcome}"
                    sound = outcome.after is None or 0 <= outcome.after < math.inf
                    assert sound, f"{kind}: Retry-After {text[:40]!r} became {outcome.after}"

    def test_a_vendor_in_trouble_is_asked_later(self) -> None:
        """5xx is RetryLater or Unknown."""
        for status in (500, 502, 503, 504, 599):
            self._undecided(_answering(status, HTML))

    def test_a_lost_connection_is_tried_later(self) -> None:
        """Time-outs and resets are RetryLater or Unknown; Unknown where a repeat would do it twice."""
        for error in (*UNSENT, *LOST):
            outcomes = self._undecided(_raising(error))
            for kind, outcome in outcomes:
                if error in LOST and kind not in STATES and not self._declared(kind).idempotent:
                    assert isinstance(outcome, Unknown), f"{kind}: {error.__name__} may have arrived"

    def test_an_answer_that_says_nothing_is_no_success(self) -> None:
        """A 200 with garbage or with nothing in it, as proxies send, is RetryLater or Unknown."""
        for body in GARBAGE:
            self._undecided(_answering(200, body), *(() if self.success_is_in_the_body else (Delivered,)))

    def test_a_huge_answer_does_no_harm(self) -> None:
        """Megabytes, deep nesting or HTML, under any status, end in an outcome with a short reason."""
        for body in HUGE:
            for status in (200, 400, 503):
                allowed = (Rejected,) if status == 400 else () if self.success_is_in_the_body else (Delivered,)  # noqa: PLR2004 - a status
                self._undecided(_answering(status, body), *allowed)

    def test_what_blames_the_item_is_rejected(self) -> None:
        """The statuses in `refusals` are Rejected: sending the same again is of no use."""
        for kind in self._kinds():
            for status in self.refusals:
                for outcome in self._send(kind, 1, _answering(status, HTML)):
                    assert isinstance(outcome, Rejected), f"{kind}: {status} became {outcome}"

    def test_refused_credentials_are_no_success(self) -> None:
        """401 and 403 are never Delivered: someone has to look at the settings."""
        for status in (401, 403):
            self._undecided(_answering(status, ""), Rejected)

    def test_health_is_told_whatever_the_vendor_does(self) -> None:
        """check_health answers with a Health that is ok, or names the problem; it never raises."""
        assert self._health().ok, "the vendor is well"
        for vendor, dial in self._downs():
            health = self._health(vendor, dial)
            assert not health.ok, "the vendor is down"
            assert health.problem, "a problem has words"
        for body in (*GARBAGE, *HUGE) if self.calls_by_http else ():
            self._health(_answering(200, body))

    def _downs(self) -> Iterator[tuple[Vendor | None, Mood | Dial]]:
        """A vendor that is down, as HTTP shows it, and as whoever dials does."""
        if self.calls_by_http:
            yield from ((_answering(status, HTML), "well") for status in (500, 503, 401))
            yield from ((_raising(error), "well") for error in (*UNSENT, *LOST))
        if self.dials:
            yield from ((None, refusing(error)) for error in UNDIALLED)
            yield from ((None, greeting(content)) for content in GREETINGS)

    def _kinds(self) -> Iterator[str]:
        if not self.sinks:
            pytest.skip("has no sinks")
        yield from self.sinks

    def _declared(self, kind: str) -> Sink[Any]:
        """The sink, for what it says of itself."""

        async def look() -> Sink[Any]:
            async with self.visiting() as visit:
                return visit.sink(kind)

        return self.run(look())

    def _send(self, kind: str, count: int, vendor: Vendor, *, unfit: int | None = None) -> Sequence[Outcome]:
        """Deliver so many items, and check that each has an outcome."""
        items = [self.item(kind, number) for number in range(count)]
        if unfit is not None:
            items[unfit] = replace(items[unfit], reference=self.unfit_reference)

        async def send() -> Sequence[Outcome]:
            async with self.visiting(vendor) as visit:
                sink = visit.sink(kind)
                try:
                    return await sink.deliver(items[: sink.batch_size])
                except Exception as error:  # noqa: BLE001 - that is the finding
                    pytest.fail(f"{kind}: deliver raised {type(error).__name__}: {error}")

        outcomes = list(self.run(send()))
        assert all(isinstance(outcome, Outcome) for outcome in outcomes), f"{kind}: {outcomes}"
        assert len(outcomes) == min(count, self._declared(kind).batch_size), f"{kind}: one outcome for each item"
        return outcomes

    def _undecided(self, vendor: Vendor, *also: type) -> list[tuple[str, Outcome]]:
        """Every sink's outcomes, each RetryLater or Unknown (or `also`), with a reason fit for people."""
        found = [(kind, outcome) for kind in self._kinds() for outcome in self._send(kind, 2, vendor)]
        for kind, outcome in found:
            assert isinstance(outcome, (RetryLater, Unknown, *also)), f"{kind}: {outcome!r:.300}"
            assert len(getattr(outcome, "reason", "")) <= LONGEST, f"{kind}: a reason of more than {LONGEST} letters"
        return found

    def _health(self, vendor: Vendor | None = None, dial: Mood | Dial = "well") -> Health:
        async def check() -> Health | None:
            async with self.visiting(vendor, dial=dial) as visit:
                if visit.capabilities.check_health is None:
                    return None
                try:
                    return await visit.capabilities.check_health()
                except Exception as error:  # noqa: BLE001 - that is the finding
                    pytest.fail(f"check_health raised {type(error).__name__}: {error}")

        health = self.run(check())
        if health is None:
            pytest.skip("has no check_health")
        assert isinstance(health, Health)
        return health


def refusing(error: type[OSError]) -> Dial:
    """Nobody answers whoever dials."""

    async def dial(host: str, port: int) -> socket.socket:
        raise error(f"nobody answers at {host}:{port}")

    return dial


def greeting(content: bytes) -> Dial:
    """Somebody answers who says this, and nothing more."""

    async def dial(_host: str, _port: int) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.sendall(content)
        return ours

    return dial


def _answering(status: int, content: str | bytes, headers: Mapping[str, str | bytes] | None = None) -> Vendor:
    """A vendor that answers everything alike."""
    told = [(name, text.encode() if isinstance(text, str) else text) for name, text in (headers or {}).items()]
    return lambda _: httpx.Response(status, content=content, headers=[(n.encode(), t) for n, t in told])


def _raising(error: type[httpx.TransportError]) -> Vendor:
    """A vendor that cannot be reached."""

    def answer(request: httpx.Request) -> httpx.Response:
        raise error("the network failed", request=request)

    return answer
