"""What is read out of bounces and complaints, and what is not believed of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mailboxes import Mailbox
from tests.plugins.smtp.conftest import NOW, TOKENS, Contexts, Messages, Posting, make_context

from stampcard.plugin import (
    Delivered,
    Delivery,
    Event,
    InvalidSignature,
    MalformedPayload,
    MessageReported,
    UnverifiedRequest,
)
from stampcard_smtp.bouncing import TOPIC, Bounces
from stampcard_smtp.naming import MARK, Naming
from stampcard_smtp.plugin import connect

FIXTURES = Path(__file__).parent / "fixtures"
REPORT = (FIXTURES / "bounce__unknown_user.eml").read_bytes()
#: As the contract's connection signs it, with the first of its tokens.
OUR_ID = b"<m17.contract.dba7119e5afc695ed966@shop.example>"
OURS = Naming(make_context(bounce_tokens=TOKENS).settings, "mail").named("m17").encode()


@pytest.fixture(scope="session")
def bounces(context: Contexts) -> Bounces:
    return Bounces(context(bounce_tokens=TOKENS))


def delivery(body: bytes, *, ours: bytes = OURS) -> Delivery:
    body = body.replace(OUR_ID, ours)
    return Delivery(connection="mail", key="k1", topic=TOPIC, body=body, received_at=NOW)


def recorded(name: str) -> bytes:
    return (FIXTURES / f"bounce__{name}.eml").read_bytes()


def request(body: bytes, authorization: str = f"Bearer {TOKENS[0]}") -> UnverifiedRequest:
    headers = {"authorization": authorization}
    return UnverifiedRequest(url="https://loyalty.example/webhooks/mail", headers=headers, body=body, received_at=NOW)


def report(**fields: object) -> MessageReported:
    told = {"channel": "email", "occurred_at": NOW, "message": "m17", **fields}
    return MessageReported(**told)  # type: ignore[arg-type]


NOBODY = report(state="bounced", code="5.1.1", reason="there is no such mailbox", because="address")


@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("unknown_user", [NOBODY]),
        ("headers_only", [NOBODY]),
        ("exim", [NOBODY]),
        ("international", [NOBODY]),
        ("rewritten_by_ses", [NOBODY]),
        (
            "rewritten_by_exchange",
            [report(state="bounced", code="5.1.10", reason="the address's domain takes no mail", because="address")],
        ),
        (
            "by_policy",
            [report(state="bounced", code="5.7.1", reason="the recipient's system does not let us send")],
        ),
        ("expired", [report(state="bounced", code="4.4.7")]),
        ("delayed", [report(state="deferred", code="4.4.1")]),
        ("delivered", [report(state="delivered", code="2.0.0")]),
        (
            "two_mailboxes",
            [NOBODY, report(state="bounced", code="5.2.1", reason="the mailbox is switched off", because="address")],
        ),
        ("complaint", [report(state="complained", code="abuse")]),
        ("opted_out", [report(state="unsubscribed", code="opt-out")]),
        ("not_spam", []),
        ("authentication_failed", []),
        ("absence", []),
    ],
)
def test_what_a_mail_reports(name: str, events: list[Event], bounces: Bounces) -> None:
    assert list(bounces.events(delivery(recorded(name)))) == events


@pytest.mark.parametrize(
    "ours",
    [
        *(b"", b"<>", b"m17", b"<m17.mail@shop.example>", b"<mail@shop.example>", b"<.mail@shop.example>"),
        OURS.replace(b"m17", b"m18"),
        OURS.replace(b".mail.", b".other."),
        OURS.replace(b"@shop", b"@elsewhere"),
        OURS.replace(b".example>", b".example.evil.example>"),
        OURS.replace(b"@", b"0@"),
        re.sub(rb"[0-9a-f]{20}", b"0" * 20, OURS),
        OURS.strip(b"<>"),
        OURS + OURS,
    ],
)
def test_what_quotes_no_mail_of_ours_reports_nothing(ours: bytes, bounces: Bounces) -> None:
    assert list(bounces.events(delivery(REPORT, ours=ours))) == []


@pytest.mark.parametrize("ours", [OURS, OURS.replace(b"mail", b"MAIL").replace(b"shop", b"SHOP"), b"\r\n " + OURS])
def test_our_id_is_found_as_others_write_it(ours: bytes, bounces: Bounces) -> None:
    assert list(bounces.events(delivery(REPORT, ours=ours))) == [NOBODY]


def test_a_mail_is_known_as_long_as_its_token_is(context: Contexts) -> None:
    new, old = TOKENS
    sent = Naming(context(bounce_tokens=[old]).settings, "mail").named("m17")
    assert sent != OURS.decode()
    for tokens, known in (([old], True), ([new, old], True), ([new], False)):
        reports = Bounces(context(bounce_tokens=tokens)).events(delivery(REPORT, ours=sent.encode()))
        assert bool(list(reports)) == known


async def test_a_mail_that_left_is_known_when_it_comes_back(
    message: Messages, posting: Posting, bounces: Bounces
) -> None:
    async with Mailbox() as mailbox, posting(mailbox, bounce_tokens=TOKENS) as channel:
        (outcome,) = await channel.send([message()])
        assert isinstance(outcome, Delivered)
        name = str(mailbox.mails[0].parsed["message-id"])
        assert outcome.result["id"] == name
        assert list(bounces.events(delivery(REPORT, ours=name.encode()))) == [NOBODY]


async def test_a_mail_that_got_another_id_on_its_way_is_known_when_it_comes_back(
    message: Messages, posting: Posting, bounces: Bounces
) -> None:
    async with Mailbox() as mailbox, posting(mailbox, bounce_tokens=TOKENS) as channel:
        await channel.send([message()])
        own = str(mailbox.mails[0].parsed[MARK])
    returned = recorded("rewritten_by_ses")
    assert list(bounces.events(delivery(returned, ours=own.encode()))) == [NOBODY]
    assert list(bounces.events(delivery(returned.replace(MARK.encode(), b"X-Other"), ours=own.encode()))) == []


async def test_without_a_token_a_mail_has_no_mark(message: Messages, posting: Posting) -> None:
    async with Mailbox() as mailbox, posting(mailbox) as channel:
        await channel.send([message()])
        assert mailbox.mails[0].parsed[MARK] is None


@pytest.mark.parametrize("name", ["rewritten_by_ses", "rewritten_by_exchange"])
@pytest.mark.parametrize(
    "ours", [b"", b"<>", OURS.replace(b"m17", b"m18"), re.sub(rb"[0-9a-f]{20}", b"0" * 20, OURS), OURS + OURS]
)
def test_a_mark_that_is_made_up_reports_nothing(name: str, ours: bytes, bounces: Bounces) -> None:
    assert list(bounces.events(delivery(recorded(name), ours=ours))) == []


def test_each_recipient_of_an_international_status_is_read(bounces: Bounces) -> None:
    first = recorded("international")
    at = first.index(b"Final-Recipient")
    group = b"Final-Recipient: utf-8; x@mail.example\nAction: delayed\nStatus: 4.4.1\n\n"
    both = first[:at] + (group.replace(b"\n", b"\r\n") if b"\r\n" in first else group) + first[at:]
    assert list(bounces.events(delivery(both))) == [report(state="deferred", code="4.4.1"), NOBODY]
    for spoilt, told in (
        (first.replace(b"Action: failed", b"Acted: failed"), []),
        (first.replace(b"Reporting-MTA: dns", b"\xff"), [NOBODY]),
    ):
        assert list(bounces.events(delivery(spoilt))) == told


@given(message=st.from_regex(r"[A-Za-z0-9_.-]{1,40}", fullmatch=True))
def test_every_id_comes_back_out_of_its_name(message: str, context: Contexts) -> None:
    names = Naming(context(bounce_tokens=TOKENS).settings, "mail")
    assert names.meant(names.named(message)) == message


def test_nobody_is_named_by_a_report(bounces: Bounces) -> None:
    """A bounce is made up quickly: it must not be able to say of a stranger's address that it is no good."""
    for name in ("unknown_user", "complaint"):
        told = list(bounces.events(delivery(recorded(name))))
        assert [(type(event), getattr(event, "address", None)) for event in told] == [(MessageReported, "")]


@pytest.mark.parametrize(
    "body",
    [
        REPORT[: len(REPORT) // 2],
        REPORT.replace(b"message/delivery-status", b"text/plain"),
        REPORT.replace(b"--4T1aBc2dEf", b"--elsewhere"),
    ],
)
def test_a_report_that_is_none_is_malformed(body: bytes, bounces: Bounces) -> None:
    with pytest.raises(MalformedPayload):
        list(bounces.events(delivery(body)))


def test_nothing_but_malformed_comes_of_whatever_bytes(bounces: Bounces) -> None:
    @given(st.data())
    def read(data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(REPORT)))
        length = data.draw(st.integers(0, 60))
        noise = data.draw(
            st.one_of(st.binary(max_size=60), st.sampled_from([b"\r\n", b"\r\n\r\n", b"=?", b"<<@", b"(("]))
        )
        try:
            told = list(bounces.events(delivery(REPORT[:place] + noise + REPORT[place + length :])))
        except MalformedPayload:
            return
        assert all(isinstance(event, MessageReported) for event in told)

    read()


def test_what_is_made_to_take_hours_is_malformed_at_once(bounces: Bounces) -> None:
    head = b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n--b\r\n'
    deep = b"".join(b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (at, at) for at in range(3000))
    letters = head + b"Content-Type: message/rfc822\r\n\r\n" * 5000
    long = REPORT.replace(b"report-type", b"a=b; " * 100_000 + b"report-type")
    for body in (head + deep, letters, head + deep + b"\r\n--b--\r\n", long, long.replace(b"\r\n", b"\r")):
        with pytest.raises(MalformedPayload, match="more parts than any report"):
            list(bounces.events(delivery(body)))


@pytest.mark.parametrize("token", TOKENS)
def test_each_token_lets_in(token: str, bounces: Bounces) -> None:
    verified = bounces.verify(request(REPORT, f"Bearer {token}"))
    assert (verified.topic, verified.body) == (TOPIC, REPORT)


@pytest.mark.parametrize(
    "shown",
    ["", "Bearer", "Bearer ", TOKENS[0], f"Bearer {TOKENS[0][:-1]}", f"Basic {TOKENS[0]}", f"Bearer {TOKENS[0]} "],
)
def test_nothing_else_lets_in(shown: str, bounces: Bounces) -> None:
    with pytest.raises(InvalidSignature, match="bounce_tokens"):
        bounces.verify(request(REPORT, shown))


def test_a_mail_is_known_by_its_own_id_and_one_without_by_its_bytes(bounces: Bounces) -> None:
    def key(body: bytes) -> str:
        return bounces.delivery_key(bounces.verify(request(body)))

    assert key(REPORT) == key(b"Received: again\r\n" + REPORT) == "b1@mx.shop.example"
    without = REPORT.replace(b"Message-Id: <b1@mx.shop.example>\r\n", b"")
    assert len(key(without)) == 64
    assert key(without) != key(without + b"\r\n")


async def test_without_a_token_nothing_is_taken_in(context: Contexts) -> None:
    assert (await connect(context=context())).webhook is None
    assert (await connect(context=context(bounce_tokens=TOKENS[0]))).webhook is not None
