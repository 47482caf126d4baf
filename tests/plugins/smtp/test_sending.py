"""What becomes of a message in each phase of a mail's way, at a mail server behind a real network."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tests.mailboxes import DROPPED, SILENT, Mailbox
from tests.plugins.smtp.conftest import Contexts, Messages, Posting

from stampcard.calling.lines import ATTEMPT
from stampcard.plugin import Because, Delivered, Message, Outcome, Rejected, RetryLater, Unknown
from stampcard_smtp import sending
from stampcard_smtp.pooling import Pool
from stampcard_smtp.sending import EmailChannel

ANN, BOB = "ann@mail.example", "bob@mail.example"
LOGIN = ("shop", "correct horse")


@asynccontextmanager
async def slowly(context: Contexts, pauses: Mapping[str, float], **settings: object) -> AsyncIterator[EmailChannel]:
    """A channel to a server that takes so many seconds for its answer to each command, and to the END of a text."""
    serving: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        while command := (await reader.readline())[:4].decode().strip():
            await asyncio.sleep(pauses.get(command, 0))
            writer.write(b"354 go on\r\n" if command == "DATA" else b"250 fine\r\n")
            if command == "DATA":
                await reader.readuntil(b"\r\n.\r\n")
                await asyncio.sleep(pauses.get("END", 0))
                writer.write(b"250 fine\r\n")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with suppress(asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    told = context(port=server.sockets[0].getsockname()[1], security="none", **settings)
    pool = Pool(told)
    try:
        yield EmailChannel(told, pool)
    finally:
        pool.close()
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving)


def kinds(outcomes: Sequence[Outcome]) -> list[str]:
    return [type(outcome).__name__ for outcome in outcomes]


async def sent(posting: Posting, mailbox: Mailbox, *messages: Message, **settings: object) -> Sequence[Outcome]:
    async with posting(mailbox, **settings) as channel:
        return await channel.send(messages)


async def test_a_mail_arrives(message: Messages, posting: Posting) -> None:
    async with Mailbox() as mailbox:
        outcomes = await sent(posting, mailbox, message())
        assert outcomes == [Delivered(result={"id": "<m17.mail@shop.example>", "state": "sent"})]
        (mail,) = mailbox.mails
        assert (mail.sender, mail.recipients, mail.options) == ("loyalty@shop.example", (ANN,), ())
        assert mail.content.endswith(b"\r\n\r\nHello Ann,\r\nyou have 12 points.\r\n")


async def test_each_message_is_a_mail_of_its_own(message: Messages, posting: Posting) -> None:
    async with Mailbox() as mailbox:
        people = [f"member{number}@mail.example" for number in range(20)]
        messages = [message(id=f"m{number}", to=to) for number, to in enumerate(people)]
        assert kinds(await sent(posting, mailbox, *messages)) == ["Delivered"] * 20
        assert sorted(mail.recipients for mail in mailbox.mails) == sorted((to,) for to in people)
        for mail in mailbox.mails:
            assert sum(to.encode() in mail.content for to in people) == 1


@pytest.mark.parametrize(
    "answer",
    ["421 4.3.2 going down", "450 4.2.0 greylisted", "451 4.7.1 try again", "452 4.2.2 full", "450 later", "452 full"],
)
async def test_a_recipient_who_is_refused_for_now_is_tried_later(
    answer: str, message: Messages, posting: Posting
) -> None:
    async with Mailbox(answers={ANN: answer}) as mailbox:
        (outcome,) = await sent(posting, mailbox, message())
        assert isinstance(outcome, RetryLater)
        assert answer[:3] in outcome.reason
        assert mailbox.mails == []


@pytest.mark.parametrize(
    ("answer", "because"),
    [
        ("550 5.1.1 <ann@mail.example>: User unknown", "address"),
        ("550 no such user", "address"),
        ("551 user not local", "address"),
        ("553 mailbox name not allowed", "address"),
        ("554 5.7.1 blocked", ""),
        ("554 transaction failed", ""),
        ("550 5.7.1 refused by policy", ""),
    ],
)
async def test_a_recipient_who_is_refused_for_good_is_rejected(
    answer: str, because: Because, message: Messages, posting: Posting
) -> None:
    async with Mailbox(answers={ANN: answer}) as mailbox:
        (outcome,) = await sent(posting, mailbox, message())
        assert isinstance(outcome, Rejected)
        assert outcome.because == because
        assert ANN not in outcome.reason


async def test_one_who_is_refused_hinders_no_others(message: Messages, posting: Posting) -> None:
    async with Mailbox(answers={ANN: "550 5.1.1 nobody", BOB: "451 4.3.0 later"}) as mailbox:
        messages = [message(id=f"m{place}", to=to) for place, to in enumerate((ANN, BOB, "cy@mail.example") * 3)]
        outcomes = await sent(posting, mailbox, *messages, connections=1)
        assert kinds(outcomes) == ["Rejected", "RetryLater", "Delivered"] * 3
        assert mailbox.connections == 1
        assert len(mailbox.mails) == 3


@pytest.mark.parametrize("command", ["MAIL", "DATA"])
@pytest.mark.parametrize("answer", ["451 4.3.0 later", "421 4.3.2 going down", DROPPED, SILENT, "99 what", "hello"])
async def test_what_fails_before_the_text_left_is_tried_later(
    command: str, answer: str, message: Messages, posting: Posting
) -> None:
    async with Mailbox(commands={command: answer}) as mailbox:
        assert kinds(await sent(posting, mailbox, message(), timeout=0.2)) == ["RetryLater"]
        assert mailbox.mails == []


@pytest.mark.parametrize("answer", [DROPPED, SILENT])
async def test_a_connection_lost_after_the_recipient_is_tried_later(
    answer: str, message: Messages, posting: Posting
) -> None:
    async with Mailbox(answers={ANN: answer}) as mailbox:
        assert kinds(await sent(posting, mailbox, message(), timeout=0.2)) == ["RetryLater"]


async def test_an_unexpected_yes_to_data_is_no_reason_to_go_on(message: Messages, posting: Posting) -> None:
    async with Mailbox(commands={"DATA": "250 fine"}) as mailbox:
        assert kinds(await sent(posting, mailbox, message())) == ["RetryLater"]


async def test_a_refused_sender_waits_for_somebody_to_set_it_right(message: Messages, posting: Posting) -> None:
    async with Mailbox(commands={"MAIL": "553 5.7.1 not yours"}) as mailbox:
        (outcome,) = await sent(posting, mailbox, message())
        assert isinstance(outcome, RetryLater)
        assert "check sender" in outcome.reason


@pytest.mark.parametrize("answer", [DROPPED, SILENT, "99 what", "hello"])
async def test_a_lost_answer_after_the_text_is_unknown(answer: str, message: Messages, posting: Posting) -> None:
    async with Mailbox(endings={ANN: answer}) as mailbox:
        assert kinds(await sent(posting, mailbox, message(), timeout=0.3)) == ["Unknown"]
        assert mailbox.connections == 1


@pytest.mark.parametrize(
    ("answer", "kind", "because"),
    [
        ("451 4.3.0 later", "RetryLater", ""),
        ("452 4.2.2 full", "RetryLater", ""),
        ("421 4.3.2 going down", "RetryLater", ""),
        ("550 5.7.1 spam", "Rejected", ""),
        ("554 no", "Rejected", ""),
        ("550 no", "Rejected", ""),
        ("552 5.3.4 too long", "Rejected", ""),
        ("552 5.2.2 full", "Rejected", ""),
        ("550 5.1.1 nobody", "Rejected", "address"),
    ],
)
async def test_an_answer_to_the_text_decides(
    answer: str, kind: str, because: str, message: Messages, posting: Posting
) -> None:
    async with Mailbox(endings={ANN: answer}) as mailbox:
        (outcome,) = await sent(posting, mailbox, message())
        assert type(outcome).__name__ == kind
        assert getattr(outcome, "because", "") == because


async def test_after_a_lost_answer_the_next_mail_takes_another_connection(message: Messages, posting: Posting) -> None:
    async with Mailbox(endings={ANN: SILENT}) as mailbox, posting(mailbox, connections=1, timeout=0.2) as channel:
        assert kinds(await channel.send([message(), message(id="m18", to=BOB)])) == ["Unknown", "Delivered"]
        assert mailbox.connections == 2


async def test_a_server_that_cannot_forget_a_mail_is_left(message: Messages, posting: Posting) -> None:
    box = Mailbox(answers={ANN: "550 5.1.1 nobody"}, commands={"RSET": "502 never heard of it"})
    async with box as mailbox, posting(mailbox, connections=1) as channel:
        assert kinds(await channel.send([message(), message(id="m18", to=BOB)])) == ["Rejected", "Delivered"]
        assert mailbox.connections == 2


async def test_nobody_there_is_tried_later(message: Messages, context: Contexts) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        told = context(port=taken.getsockname()[1], security="none")
        (outcome,) = await EmailChannel(told, Pool(told)).send([message()])
    assert isinstance(outcome, RetryLater)
    assert "check host, port and security" in outcome.reason


async def test_a_batch_does_not_wait_for_a_server_that_is_down_as_often_as_it_has_mails(
    message: Messages, posting: Posting
) -> None:
    async with Mailbox(commands={"EHLO": SILENT}) as mailbox:
        messages = [message(id=f"m{number}") for number in range(20)]
        assert kinds(await sent(posting, mailbox, *messages, connections=2, timeout=0.2)) == ["RetryLater"] * 20
        assert mailbox.connections == 2


async def test_a_server_that_is_back_gets_the_next_batch(message: Messages, posting: Posting) -> None:
    async with Mailbox(commands={"EHLO": DROPPED}) as mailbox, posting(mailbox) as channel:
        assert kinds(await channel.send([message()])) == ["RetryLater"]
        mailbox.commands.clear()
        assert kinds(await channel.send([message()])) == ["Delivered"]


async def test_mails_wait_for_the_connections_that_a_server_allows(message: Messages, context: Contexts) -> None:
    async with Mailbox() as mailbox:
        plain = context(**mailbox.settings, connections=4)
        dialled = 0

        async def dial(host: str, port: int) -> socket.socket:
            nonlocal dialled
            dialled += 1
            if dialled > 2:
                raise ConnectionRefusedError
            return await plain.dial(host, port)

        told = replace(plain, dial=dial)
        pool = Pool(told)
        messages = [message(id=f"m{number}", to=f"member{number}@mail.example") for number in range(20)]
        assert kinds(await EmailChannel(told, pool).send(messages)) == ["Delivered"] * 20
        pool.close()
        assert mailbox.connections == 2
        assert dialled < 10  # not every mail tries


async def test_a_host_that_may_not_be_reached_is_named_with_what_would_allow_it(
    message: Messages, context: Contexts
) -> None:
    told = context(host="10.9.8.7", port=25, security="none")
    (outcome,) = await EmailChannel(told, Pool(told)).send([message()])
    assert outcome == RetryLater(
        reason="no connection to the mail server 10.9.8.7:25: the address is not public; "
        '[security] outbound_allow = ["10.9.8.7:25"] would allow it'
    )


@pytest.mark.parametrize(
    "greeting", [b"554 no service here\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\xff" * 99]
)
async def test_a_server_that_does_not_greet_is_tried_later(
    greeting: bytes, message: Messages, context: Contexts
) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        told = context(port=server.sockets[0].getsockname()[1], security="none", timeout=0.5)
        (outcome,) = await EmailChannel(told, Pool(told)).send([message()])
    assert isinstance(outcome, RetryLater)
    assert "check host" in outcome.reason


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_what_is_encrypted_stays_so_to_the_end(
    security: str, message: Messages, posting: Posting, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with Mailbox(security=security, login=LOGIN) as mailbox:  # type: ignore[arg-type]
        monkeypatch.setenv("SSL_CERT_FILE", str(mailbox.trusted(tmp_path)))
        assert kinds(await sent(posting, mailbox, message())) == ["Delivered"]
        (mail,) = mailbox.mails
        assert mail.encrypted
        assert mail.login == "shop"


async def test_a_log_in_without_encryption_happens_where_it_was_chosen(message: Messages, posting: Posting) -> None:
    async with Mailbox(login=LOGIN) as mailbox:
        assert kinds(await sent(posting, mailbox, message())) == ["Delivered"]
        assert (mailbox.mails[0].encrypted, mailbox.mails[0].login) == (False, "shop")


@pytest.mark.parametrize(
    ("served", "settings", "advice"),
    [
        ("starttls", {}, "check host"),
        ("tls", {}, "check host"),
        ("none", {"security": "starttls"}, "check them and port"),
        ("none", {"security": "tls"}, "check port and security"),
        ("tls", {"security": "none"}, "timeout"),
        ("tls", {"security": "starttls"}, "timeout"),
    ],
)
async def test_without_the_encryption_that_was_chosen_nothing_is_sent(
    served: str, settings: dict[str, str], advice: str, message: Messages, posting: Posting
) -> None:
    async with Mailbox(security=served, login=LOGIN) as mailbox:  # type: ignore[arg-type]
        (outcome,) = await sent(posting, mailbox, message(), timeout=0.5, **settings)
        assert isinstance(outcome, RetryLater)
        assert advice in outcome.reason
        assert mailbox.logins == []


async def test_a_wrong_password_is_tried_later_and_not_shown(message: Messages, posting: Posting) -> None:
    async with Mailbox(login=LOGIN) as mailbox:
        (outcome,) = await sent(posting, mailbox, message(), password="wrong horse")
        assert isinstance(outcome, RetryLater)
        assert "check username and password (535)" in outcome.reason
        assert "horse" not in repr(outcome)


async def test_a_server_without_log_ins_names_the_settings(message: Messages, posting: Posting) -> None:
    async with Mailbox() as mailbox:
        (outcome,) = await sent(posting, mailbox, message(), username="shop", password="correct horse")
        assert isinstance(outcome, RetryLater)
        assert "username" in outcome.reason


async def test_a_log_in_that_is_missing_names_the_settings(message: Messages, posting: Posting) -> None:
    async with Mailbox(login=LOGIN) as mailbox:
        (outcome,) = await sent(posting, mailbox, message(), username=None, password=None)
        assert isinstance(outcome, RetryLater)
        assert "check username, password and security" in outcome.reason


async def test_fifty_mails_leave_by_four_connections(message: Messages, posting: Posting) -> None:
    async with Mailbox() as mailbox, posting(mailbox, connections=4) as channel:
        messages = [message(id=f"m{number}", to=f"member{number}@mail.example") for number in range(50)]
        began = time.perf_counter()
        outcomes = await channel.send(messages)
        took = time.perf_counter() - began
        assert kinds(outcomes) == ["Delivered"] * 50
        assert mailbox.connections == 4
        assert {mail.connection for mail in mailbox.mails} == {1, 2, 3, 4}
        assert len({mail.parsed["message-id"] for mail in mailbox.mails}) == 50
        assert took < 10


async def test_a_connection_is_used_again(message: Messages, posting: Posting) -> None:
    async with Mailbox() as mailbox, posting(mailbox) as channel:
        for number in range(5):
            await channel.send([message(id=f"m{number}")])
        assert mailbox.connections == 1


async def test_a_connection_is_replaced_after_so_many_mails(message: Messages, posting: Posting) -> None:
    async with Mailbox() as mailbox, posting(mailbox, per_connection=3) as channel:
        for number in range(7):
            await channel.send([message(id=f"m{number}")])
        assert [mail.connection for mail in mailbox.mails] == [1, 1, 1, 2, 2, 2, 3]


async def test_an_idle_connection_closes_by_itself(message: Messages, posting: Posting) -> None:
    async with Mailbox() as mailbox, posting(mailbox, idle=0.05) as channel:
        await channel.send([message()])
        assert len(mailbox.sessions) == 1
        async with asyncio.timeout(5):
            await mailbox.left.wait()
        assert kinds(await channel.send([message(id="m18")])) == ["Delivered"]
        assert mailbox.connections == 2


async def test_a_connection_that_is_in_use_again_is_not_idle(message: Messages, posting: Posting) -> None:
    async with Mailbox(endings={BOB: SILENT}) as mailbox, posting(mailbox, idle=0.1, timeout=0.5) as channel:
        await channel.send([message()])
        (outcome,) = await channel.send([message(id="m18", to=BOB)])
        assert isinstance(outcome, Unknown)
        assert "SMTPReadTimeoutError" in outcome.reason
        assert mailbox.connections == 1


async def test_a_connection_that_the_server_closed_is_replaced(message: Messages, posting: Posting) -> None:
    async with Mailbox() as mailbox, posting(mailbox) as channel:
        await channel.send([message()])
        for session in list(mailbox.sessions):
            session.end()
        await mailbox.left.wait()
        await asyncio.sleep(0.05)
        assert kinds(await channel.send([message(id="m18")])) == ["Delivered"]
        assert mailbox.connections == 2


async def test_an_attempt_that_is_given_up_leaves_no_connection(message: Messages, posting: Posting) -> None:
    async with Mailbox(endings={ANN: SILENT}) as mailbox, posting(mailbox) as channel:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await channel.send([message()])
        async with asyncio.timeout(5):
            await mailbox.left.wait()


async def test_a_server_that_greets_too_slowly_is_left_in_time(
    message: Messages, context: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "BATCH", 0.5)
    async with slowly(context, {"EHLO": 30, "HELO": 30}, timeout=20) as channel, asyncio.timeout(10):
        (outcome,) = await channel.send([message()])
    assert isinstance(outcome, RetryLater)
    assert "timeout" in outcome.reason


async def test_slow_answers_together_take_no_longer_than_a_batch_may(
    message: Messages, context: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "BATCH", 0.5)
    async with slowly(context, dict.fromkeys(("EHLO", "MAIL", "RCPT", "DATA"), 0.2)) as channel:
        assert kinds(await channel.send([message()])) == ["RetryLater"]


async def test_the_answer_to_a_text_that_left_is_worth_waiting_for(
    message: Messages, context: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "BATCH", 1.0)
    async with slowly(context, {"END": 1.2}) as channel:
        assert kinds(await channel.send([message()])) == ["Delivered"]


def test_a_batch_ends_before_the_host_gives_it_up() -> None:
    assert sending.BATCH + sending.GRACE < ATTEMPT


async def test_the_channel_says_how_often_it_may_be_called(context: Contexts) -> None:
    for pace, burst in ((10.0, 10), (0.5, 1), (2.5, 2)):
        told = context(per_second=pace)
        rate = EmailChannel(told, Pool(told)).rate
        assert rate is not None
        assert (rate.per_second, rate.burst) == (pace, burst)
