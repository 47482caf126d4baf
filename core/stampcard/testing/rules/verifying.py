from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampcard.domain.value import replace
from stampcard.plugin import CannotVerify, InvalidSignature, Reply, UnverifiedRequest, VerifiedRequest, WebhookSource
from stampcard.testing.rules.case import TRIAL, Case, Recording

#: What aiohttp makes of a header byte that is no UTF-8.
LONE = "\udcff"
#: No key, topic or kept header is longer than that.
LONGEST = 4096
ODD = ("", " ", "\x00", "ä", LONE, "x" * 100_000, "é" * 300, "../..", "0", "null")


class VerifyingRules(Case):
    """What is vouched for: the vendor's own bytes, and nothing else."""

    def test_payloads_are_recorded(self) -> None:
        """There is at least one recorded payload, and each belongs to a topic; an empty folder proves nothing."""
        if self.source() is not None:
            assert self.recordings()

    def test_every_topic_is_recorded(self) -> None:
        """Each topic that is decoded has at least one recorded payload."""
        self.source()
        assert set(self.topics) == {recording.topic for recording in self.recordings()}

    def test_every_recording_is_vouched_for(self) -> None:
        """Each recorded payload, signed as the vendor signs, is verified, byte for byte and with its topic."""
        source = self.source()
        for recording in self.recordings():
            verified = self.vouched(source, self.request(recording.topic, recording.body))
            assert verified.body == recording.body, recording.name
            assert verified.topic == recording.topic, recording.name

    def test_every_secret_is_good(self) -> None:
        """All configured secrets are accepted, so that a merchant can rotate them."""
        source, recording = self.source(), self._any()
        for number in range(len(self.secrets)):
            try:
                source.verify(self.request(recording.topic, recording.body, self.secrets[number]))
            except InvalidSignature as error:
                pytest.fail(f"secret {number + 1} of {len(self.secrets)} is not accepted: {error}")

    def test_another_secret_is_refused(self) -> None:
        """A signature under a secret that is not configured is an InvalidSignature."""
        recording = self._any()
        self._refused(self.request(recording.topic, recording.body, "nobody-ever-configured-this"))

    def test_a_missing_signature_is_refused(self) -> None:
        """A request without the signature's header is an InvalidSignature."""
        self._refused(self._signed_with(None))

    def test_an_empty_signature_is_refused(self) -> None:
        """An empty signature is an InvalidSignature."""
        for empty in ("", " ", "="):
            self._refused(self._signed_with(empty))

    def test_a_truncated_signature_is_refused(self) -> None:
        """No beginning of the right signature will do: each is an InvalidSignature."""
        whole = self._signature()
        for length in range(1, len(whole) - 2):
            self._refused(self._signed_with(whole[:length]))

    def test_a_signature_that_is_not_ascii_is_refused(self) -> None:
        """Letters and bytes that no signature has are an InvalidSignature, not an error in the comparison."""
        whole = self._signature()
        for odd in ("ä", LONE, "\x00", "☕"):
            self._refused(self._signed_with(odd))
            self._refused(self._signed_with(whole[:-1] + odd))
            self._refused(self._signed_with(odd + whole))

    def test_an_oversized_signature_is_refused(self) -> None:
        """A signature that is far too long is an InvalidSignature."""
        whole = self._signature()
        for long in (whole * 1000, whole + "A" * 100_000, "=" * 100_000):
            self._refused(self._signed_with(long))

    def test_whatever_comes_is_an_invalid_signature(self) -> None:
        """Random bytes under a random signature are an InvalidSignature, whatever they are."""
        source, recording = self.source(), self._any()
        genuine = self.request(recording.topic, recording.body)

        @TRIAL
        @given(body=st.binary(), signature=st.text())
        def refused(body: bytes, signature: str) -> None:
            headers = {**genuine.headers, self.signature_header: signature}
            self._refused(replace(genuine, body=body, headers=headers), source)

        refused()

    def test_the_raw_bytes_are_what_is_signed(self) -> None:
        """A body that was parsed and written again, or has one byte more, does not fit its signature."""
        if not self.signs_body:
            pytest.skip("the vendor does not sign the body")
        source = self.source()
        for recording in self.recordings():
            request = self.request(recording.topic, recording.body)
            for changed in _rewritten(recording.body):
                self._refused(replace(request, body=changed), source)

    def test_what_is_unchecked_is_what_would_be_vouched_for(self) -> None:
        """Unchecked gives what verify would give, with and without a signature, or is a CannotVerify; it raises nothing else."""
        source = self.source()
        for recording in self.recordings():
            request = self.request(recording.topic, recording.body)
            verified = self.vouched(source, request)
            for unsigned in (request, _with(request, self.signature_header, None)):
                assert self._unchecked(source, unsigned) in (None, verified), recording.name
            for odd in self._variations(recording):
                self._unchecked(source, odd)

    def _unchecked(self, source: WebhookSource, request: UnverifiedRequest) -> VerifiedRequest | None:
        try:
            return source.unchecked(request)
        except CannotVerify:
            return None
        except Exception as error:  # noqa: BLE001 - that is the finding
            pytest.fail(f"unchecked raised {type(error).__name__}, not CannotVerify: {error}")

    def test_a_redelivery_has_the_same_key(self) -> None:
        """The same webhook, sent again later, has the same delivery key."""
        source = self.source()
        for recording in self.recordings():
            request = self.request(recording.topic, recording.body)
            again = replace(request, received_at=request.received_at.replace(hour=23))
            first, second = (source.delivery_key(self.vouched(source, each)) for each in (request, again))
            assert first == second, recording.name

    def test_every_verified_request_has_a_key_that_can_be_stored(self) -> None:
        """Whatever stands in the headers: what is vouched for has a topic and a key that a database can hold."""
        source = self.source()
        for recording in self.recordings():
            for request in self._variations(recording):
                try:
                    verified = source.verify(request)
                except InvalidSignature:
                    continue
                if not isinstance(verified, Reply):
                    _check_storable(source, verified)

    def test_verifying_fetches_nothing(self) -> None:
        """verify, delivery_key, events and subject reach for no network: the sender waits for the answer."""

        async def look() -> int:
            async with self.visiting() as visit:
                before, source = len(visit.requests), visit.capabilities.webhook
                assert source is not None
                with _no_network():
                    for recording in self.recordings():
                        verified = self.vouched(source, self.request(recording.topic, recording.body))
                        source.delivery_key(verified)
                        list(source.events(self.delivery(recording)))
                        source.subject(self.delivery(recording))
                return len(visit.requests) - before

        self.source()
        assert self.run(look()) == 0, "requests that verifying made"

    def _any(self) -> Recording:
        self.source()  # without webhooks there is nothing to sign
        return next((found for found in self.recordings() if not found.fetched), self.recordings()[0])

    def _signature(self) -> str:
        if not self.sends_webhooks:
            pytest.skip("nobody sends webhooks, so nothing is signed")
        recording = self._any()
        headers = self.request(recording.topic, recording.body).headers
        assert self.signature_header in headers, f"sign gives {sorted(headers)}; which is signature_header?"
        return headers[self.signature_header]

    def _signed_with(self, signature: str | None) -> UnverifiedRequest:
        assert self._signature()
        recording = self._any()
        return _with(self.request(recording.topic, recording.body), self.signature_header, signature)

    def _variations(self, recording: Recording) -> Iterator[UnverifiedRequest]:
        request = self.request(recording.topic, recording.body)
        yield request
        for name in request.headers:
            if name != self.signature_header:
                yield _with(request, name, None)
                yield from (_with(request, name, odd) for odd in ODD)

    def _refused(self, request: UnverifiedRequest, source: WebhookSource | None = None) -> None:
        try:
            (source or self.source()).verify(request)
        except InvalidSignature:
            return
        except Exception as error:  # noqa: BLE001 - that is the finding
            pytest.fail(f"verify raised {type(error).__name__}, not InvalidSignature: {error}")
        pytest.fail(f"verify let in {request.body[:60]!r} with {request.header(self.signature_header)[:60]!r}")


def _with(request: UnverifiedRequest, name: str, value: str | None) -> UnverifiedRequest:
    headers = {key: kept for key, kept in request.headers.items() if key != name}
    return replace(request, headers=headers if value is None else {**headers, name: value})


def _rewritten(body: bytes) -> Iterator[bytes]:
    yield body + b"\n"
    yield body[:-1]
    try:
        content = json.loads(body)
    except ValueError:
        return
    for style in ({"indent": 3}, {"separators": (",", ":")}, {"separators": (" , ", " : ")}):
        written = json.dumps(content, **style).encode()
        if written != body:
            yield written


def _check_storable(source: WebhookSource, verified: VerifiedRequest) -> None:
    try:
        key = source.delivery_key(verified)
    except Exception as error:  # noqa: BLE001 - that is the finding
        pytest.fail(f"delivery_key raised {type(error).__name__}: {error}")
    assert isinstance(key, str)
    assert key, "delivery_key is never empty"
    for text in (key, verified.topic, *verified.headers.values()):
        assert "\x00" not in text, f"{text[:60]!r} cannot be stored"
        assert text.encode(errors="ignore").decode() == text, f"{text[:60]!r} cannot be stored"
        assert len(text) <= LONGEST, f"{text[:60]!r}… is too long to be stored"


@contextmanager
def _no_network() -> Iterator[None]:
    def refuse(*_: Any, **__: Any) -> Any:
        pytest.fail("reached for the network")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto", "bind"):
            patch.setattr(socket.socket, name, refuse, raising=False)
        for name in ("getaddrinfo", "gethostbyname", "create_connection"):
            patch.setattr(socket, name, refuse)
        yield
