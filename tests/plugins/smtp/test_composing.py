"""What a mail says, read back from what the mail server got."""

from __future__ import annotations

import asyncio
import re
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import compat32
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mailboxes import Mail, Mailbox
from tests.plugins.smtp.conftest import Contexts, Messages, Posting

from stampcard.plugin import Delivered, Message, Outcome, Rejected, RetryLater
from stampcard_smtp.addressing import Unwritable, mailbox
from stampcard_smtp.composing import composed
from stampcard_smtp.naming import Naming

ARABIC = '<html dir="rtl" lang="ar"><body><p>مرحبا <b>آن</b>، لديك ١٢ نقطة.</p></body></html>\n'
UNSUBSCRIBE = "https://loyalty.example/u/" + "t" * 120
BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def carried(
    posting: Posting, message: Message, *, international: bool = True, **settings: Any
) -> tuple[Outcome, Mail | None]:
    """Send one message over the wire, and what came of it."""

    async def send() -> tuple[Outcome, Mail | None]:
        async with Mailbox(international=international) as mailbox, posting(mailbox, **settings) as channel:
            (outcome,) = await channel.send([message])
            return outcome, next(iter(mailbox.mails), None)

    return asyncio.run(send())


def arrived(posting: Posting, message: Message, **settings: Any) -> Mail:
    outcome, mail = carried(posting, message, **settings)
    assert isinstance(outcome, Delivered), outcome
    assert mail is not None
    return mail


def read(mail: Mail, name: str) -> str:
    """A header as mail programs show it."""
    told = str(message_from_bytes(mail.content, policy=compat32)[name])
    return str(make_header(decode_header(told.replace("\r\n ", " "))))


def text_of(mail: Mail, kind: str) -> str:
    part = mail.parsed.get_body((kind,))
    assert isinstance(part, EmailMessage)
    return str(part.get_content()).replace("\r\n", "\n")


def one_line(text: str) -> str:
    return BREAKS.sub(" ", text).strip()


def lines(text: str) -> str:
    """A text as lines, of which the last ends, too."""
    return "".join(f"{line}\n" for line in re.split("\r\n|\r|\n", text.removesuffix("\n").removesuffix("\r")))


def test_the_headers_of_a_mail(message: Messages, posting: Posting) -> None:
    mail = arrived(posting, message(unsubscribe=UNSUBSCRIBE, language="pt_BR"), reply_to="help@shop.example")
    told = {name: str(value) for name, value in message_from_bytes(mail.content, policy=compat32).items()}
    assert {name: told[name] for name in told if not name.startswith("Content-T")} == {
        "From": "The Shop <loyalty@shop.example>",
        "To": "Ann Archer <ann@mail.example>",
        "Reply-To": "help@shop.example",
        "Subject": "You have 12 points",
        "Date": "Tue, 10 Mar 2026 12:00:00 +0000",
        "Message-ID": "<m17.mail@shop.example>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "List-Unsubscribe": f"<{UNSUBSCRIBE}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "Content-Language": "pt-BR",
        "MIME-Version": "1.0",
    }


def test_a_mail_that_nothing_ends_has_no_way_to_end_it(message: Messages, posting: Posting) -> None:
    parsed = arrived(posting, message()).parsed
    assert parsed["list-unsubscribe"] is None
    assert parsed["list-unsubscribe-post"] is None


def test_one_click_is_offered_where_the_way_is_safe(message: Messages, posting: Posting) -> None:
    parsed = arrived(posting, message(unsubscribe="http://127.0.0.1:8000/u/1")).parsed
    assert parsed["list-unsubscribe"] == "<http://127.0.0.1:8000/u/1>"
    assert parsed["list-unsubscribe-post"] is None


def test_every_attempt_is_the_same_mail(message: Messages, context: Contexts) -> None:
    told = context()
    first, second = (
        composed(message(html=ARABIC), told.settings, Naming(told.settings, told.name), told.clock.now()).content
        for _ in range(2)
    )
    assert first == second


def test_html_from_right_to_left_comes_back_as_it_was(message: Messages, posting: Posting) -> None:
    text = "مرحبا آن، لديك ١٢ نقطة.\n"
    mail = arrived(
        posting,
        message(html=ARABIC, text=text, subject="لديك ١٢ نقطة", to_name="آن", language="ar", direction="rtl"),
        sender_name="متجر",
    )
    assert mail.parsed.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.parsed.iter_parts()] == ["text/plain", "text/html"]
    assert text_of(mail, "html") == ARABIC
    assert text_of(mail, "plain") == text
    assert mail.parsed["subject"] == "لديك ١٢ نقطة"
    assert mail.parsed["to"].addresses[0].display_name == "آن"
    assert mail.parsed["from"].addresses[0].display_name == "متجر"
    assert mail.parsed["content-language"] == "ar"
    assert mail.content.isascii()


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\x00", "\x0b", "\x85", "\u2028"])
def test_no_header_can_be_smuggled_in(end: str, message: Messages, posting: Posting) -> None:
    evil = f"Hello{end}Bcc: eve@evil.example{end}{end}<p>a body"
    mail = arrived(posting, message(subject=evil, to_name=evil, language=evil))
    assert mail.recipients == ("ann@mail.example",)
    assert read(mail, "subject") == "Hello Bcc: eve@evil.example <p>a body"
    assert mail.parsed["bcc"] is None
    assert [one.addr_spec for one in mail.parsed["to"].addresses] == ["ann@mail.example"]
    assert text_of(mail, "plain") == "Hello Ann,\nyou have 12 points.\n"


@pytest.mark.parametrize(
    "to",
    [
        *("", "ann", "@mail.example", "ann@", "a b@mail.example", "ann@mail.example\r\nRCPT TO:<eve@evil.example>"),
        *("ann@mail.example>", "<ann@mail.example", "ann@mail.example, eve@evil.example", "ann@@mail.example"),
        *("ann.@mail.example", ".ann@mail.example", "a..b@mail.example", "ann@mail..example", "ann@-mail.example"),
        *('"a b"@mail.example', "ann@[192.0.2.1]", "ann@mail_.example ", "\ud800@mail.example", "ann@mail.\ud800"),
        *("x" * 65 + "@mail.example", "ann@" + "x" * 64 + ".example", "ann\x00@mail.example", "ann@mail.example\n"),
    ],
)
def test_what_is_no_address_is_rejected(to: str, message: Messages, posting: Posting) -> None:
    outcome, mail = carried(posting, message(to=to))
    assert isinstance(outcome, Rejected)
    assert outcome.because == "address"
    assert mail is None


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@straße.example", "ann@xn--strae-oqa.example"),
        ("ann@例え.テスト", "ann@xn--r8jz45g.xn--zckzah"),
        ("ann@BÜCHER。example", "ann@xn--bcher-kva.example"),
        ("Ann.O'Neill+x@Mail.Example", "Ann.O'Neill+x@mail.example"),
        ("jürgen@bücher.example", "jürgen@xn--bcher-kva.example"),
    ],
)
def test_the_domain_of_an_address_is_written_in_ascii(address: str, plain: str) -> None:
    assert mailbox(address) == plain


def test_a_domain_in_other_letters_needs_nothing_of_the_server(message: Messages, posting: Posting) -> None:
    outcome, mail = carried(posting, message(to="ann@bücher.example"), international=False)
    assert isinstance(outcome, Delivered)
    assert mail is not None
    assert mail.recipients == ("ann@xn--bcher-kva.example",)
    assert mail.options == ()


def test_a_name_in_other_letters_is_told_to_a_server_that_knows_them(message: Messages, posting: Posting) -> None:
    mail = arrived(posting, message(to="jürgen@bücher.example", to_name="Jürgen", subject="für dich"))
    assert mail.recipients == ("jürgen@xn--bcher-kva.example",)
    assert mail.options == ("SMTPUTF8", "BODY=8BITMIME")
    assert "<jürgen@xn--bcher-kva.example>".encode() in mail.content
    assert mail.parsed["subject"] == "für dich"


def test_a_name_in_other_letters_is_rejected_where_the_server_knows_none(message: Messages, posting: Posting) -> None:
    outcome, mail = carried(posting, message(to="jürgen@mail.example"), international=False)
    assert outcome == Rejected(reason="the mail server takes no address with letters beyond ASCII (it has no SMTPUTF8)")
    assert mail is None


@pytest.mark.parametrize("changes", [{"sender": "café@shop.example"}, {"reply_to": "café@shop.example"}])
def test_an_address_of_ours_in_other_letters_costs_no_message(
    changes: dict[str, str], message: Messages, posting: Posting
) -> None:
    outcome, mail = carried(posting, message(), international=False, **changes)
    assert isinstance(outcome, RetryLater)
    assert "check sender and reply_to" in outcome.reason
    assert mail is None


def test_half_a_letter_is_rejected(message: Messages, context: Contexts) -> None:
    told = context()
    for field in ("subject", "text", "html", "to_name"):
        with pytest.raises(Unwritable, match="letters that cannot be written"):
            composed(message(**{field: "a\ud800b"}), told.settings, Naming(told.settings, told.name), told.clock.now())


@given(
    subject=st.text(max_size=200),
    text=st.text(max_size=300),
    html=st.one_of(st.just(""), st.text(min_size=1, max_size=300)),
    name=st.text(max_size=100),
)
def test_any_text_comes_back_as_it_was(
    subject: str, text: str, html: str, name: str, message: Messages, posting: Posting
) -> None:
    mail = arrived(posting, message(subject=subject, text=text, html=html, to_name=name))
    assert read(mail, "subject") == one_line(subject)
    assert mail.parsed["subject"] == one_line(subject)
    assert read(mail, "to") == (f"{one_line(name)} <ann@mail.example>" if one_line(name) else "ann@mail.example")
    assert text_of(mail, "plain") == lines(text)
    if html:
        assert text_of(mail, "html") == lines(html)
    assert all(len(line) <= 998 for line in mail.content.split(b"\r\n"))
    assert mail.recipients == ("ann@mail.example",)


@given(lines_of=st.lists(st.sampled_from(["", ".", "..", ".x", "From me", "=2E", "x" * 200, " ", "ö" * 90])))
def test_dots_and_long_lines_come_back_as_they_were(lines_of: list[str], message: Messages, posting: Posting) -> None:
    text = "\n".join(lines_of)
    assert text_of(arrived(posting, message(text=text)), "plain") == lines(text)
