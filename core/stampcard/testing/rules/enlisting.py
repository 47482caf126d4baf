from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from urllib.parse import unquote_plus

import httpx
import pytest

from stampcard.domain.commands import AUDIENCE
from stampcard.plugin import AudiencePush, AudienceSink, Delivered, HashKind, Outcome, Rejected
from stampcard.testing.listening import listening
from stampcard.testing.rules.case import Case, Vendor, Visit

#: What httpx says of each call, where somebody listens to it.
_HTTPX = "HTTP Request: "


class EnlistingRules(Case):
    """How a plugin tells who joins an audience and who leaves it."""

    def test_an_audience_is_told_of_hashes_and_of_no_address(self) -> None:
        """The hashes that the plugin wants arrive, whether somebody joins, leaves or both; no body and no address holds an @."""
        for item in self._enlisting_ways():
            visit, outcomes = self._enlisted([item])
            assert [type(outcome) for outcome in outcomes] == [Delivered], f"{item}: {outcomes}"
            said = " ".join(map(_said, visit.requests))
            assert "@" not in said, f"an address left: {said[:300]}"
            assert _arrived(item.hashes, said), f"no hash of {item} arrived: {said[:300]}"

    def test_who_leaves_an_audience_is_told_though_nobody_joins(self) -> None:
        """An item of which nobody joins anywhere leads to a call, and is another one than if they joined there."""
        leaving = self._enlisting_item(1, leaves=self.audiences[:1])
        joining = self._enlisting_item(1, joins=self.audiences[:1])
        first, second = (self._enlisted([item])[0].requests for item in (leaving, joining))
        assert first, "nobody was told of who leaves"
        assert list(map(_whole, first)) != list(map(_whole, second)), "it is told as if they joined"

    def test_the_same_of_an_audience_is_told_alike(self) -> None:
        """The same item leads to the same calls each time, body by body, and is Delivered each time."""
        for item in self._enlisting_ways():
            visit, outcomes = self._enlisted([item], [item])
            half = len(visit.requests) // 2
            first, second = (list(map(_whole, visit.requests[start : start + half])) for start in (0, half))
            assert first == second, f"{item} is told otherwise the second time"
            assert [type(outcome) for outcome in outcomes] == [Delivered] * 2, f"{item}: {outcomes}"

    def test_an_audience_that_is_refused_stops_no_other(self) -> None:
        """An item for an audience that is not there is Rejected at its own place, and the others are Delivered."""
        if not self.unfit_audience:
            pytest.skip("the vendor refuses no audience")
        count = min(3, self._audience_sink().batch_size)
        for place in range(count):
            joins = [(self.unfit_audience,) if one == place else self.audiences[:1] for one in range(count)]
            _, outcomes = self._enlisted([self._enlisting_item(number, joins=joins[number]) for number in range(count)])
            expected = [Rejected if one == place else Delivered for one in range(count)]
            assert [type(outcome) for outcome in outcomes] == expected, outcomes

    def test_no_hash_of_an_audience_is_told_on(self) -> None:
        """The hashes stand in no log line and no reason, also where the vendor sends back what it was sent."""
        quoting = [self.vendor, *(_quoting(status) for status in (200, 400, 422, 500))]
        for item in self._enlisting_ways():
            for vendor in quoting:
                visit, outcomes = self._enlisted([item], vendor=vendor)
                own = [line for line in visit.lines if not line.startswith(_HTTPX)]
                for text in (*own, *(getattr(outcome, "reason", "") for outcome in outcomes)):
                    assert not _arrived(item.hashes, text), f"a hash shows in {text[:200]}"

    def _audience_sink(self) -> AudienceSink:
        if AUDIENCE not in self.sinks:
            pytest.skip("has no audiences")

        async def get() -> AudienceSink:
            async with self.visiting() as visit:
                sink = visit.sink(AUDIENCE)
                assert isinstance(sink, AudienceSink)
                return sink

        assert self.audiences, "write audiences in the settings: segments, and the vendor's ids"
        return self.run(get())

    def _enlisting_item(self, number: int, joins: Sequence[str] = (), leaves: Sequence[str] = ()) -> AudiencePush:
        return self.audience_push(self._audience_sink().hashes, number, joins, leaves)

    def _enlisting_ways(self) -> list[AudiencePush]:
        """Somebody joins, somebody leaves, somebody does both where there are two audiences."""
        self._audience_sink()  # without audiences there is nothing to say
        first, *others = self.audiences
        ways = [self._enlisting_item(1, joins=[first]), self._enlisting_item(2, leaves=[first])]
        return [*ways, *(self._enlisting_item(3, joins=[first], leaves=[other]) for other in others[:1])]

    def _enlisted(self, *batches: Sequence[AudiencePush], vendor: Vendor | None = None) -> tuple[Visit, list[Outcome]]:
        """Deliver batches one after the other; the visit tells of the calls since then."""

        async def tell() -> tuple[Visit, list[Outcome]]:
            outcomes: list[Outcome] = []
            async with self.visiting(vendor or self.vendor) as visit:
                visit.requests.clear()
                with listening(visit.lines):
                    for batch in batches:
                        outcomes += await visit.sink(AUDIENCE).deliver(batch)
            return visit, outcomes

        visit, outcomes = self.run(tell())
        assert len(outcomes) == sum(map(len, batches)), "one outcome for each item"
        return visit, outcomes


def _said(request: httpx.Request) -> str:
    """All that a request says, but its headers."""
    path = request.url.raw_path.decode(errors="replace")
    return f"{unquote_plus(path)} {unquote_plus(request.content.decode(errors='replace'))}"


def _whole(request: httpx.Request) -> tuple[str, str, bytes]:
    return request.method, str(request.url), request.content


def _arrived(hashes: Mapping[HashKind, str], said: str) -> bool:
    """Whether any of the hashes stands in a text, in hex or in Base64."""
    written = said.lower()
    return any(text in written or b64encode(bytes.fromhex(text)).decode() in said for text in hashes.values())


def _quoting(status: int) -> Vendor:
    """A vendor that sends back what it was sent."""
    return lambda request: httpx.Response(status, content=request.content or str(request.url).encode())
