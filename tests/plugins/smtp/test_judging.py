"""What each answer of a mail server means, row by row."""

from __future__ import annotations

import pytest

from stampcard.plugin import Because, Outcome, Rejected, RetryLater, Unknown
from stampcard_smtp.judging import ENHANCED, PLAIN, SUBJECTS, Step, judged, reported

ADDRESS, REFUSED, LATER = "address", "", "later"
ROWS = {
    **dict.fromkeys(("1.1", "1.2", "1.3", "1.4", "1.6", "1.10", "2.1", "4.4", "7.13", "7.17"), ADDRESS),
    **dict.fromkeys(("1.7", "1.8", "1.9", "2.3", "3.4", "4.1", "4.6", "4.7", "7.1"), REFUSED),
    **dict.fromkeys(("2.2", "3.1", "3.2", "4.5"), LATER),
}
KINDS = {"1": ADDRESS, "2": REFUSED, "3": REFUSED, "4": REFUSED, "5": REFUSED, "6": REFUSED, "7": REFUSED}
CODES = {550: ADDRESS, 551: ADDRESS, 552: LATER, 553: ADDRESS, 556: ADDRESS}


def read(outcome: Outcome) -> str:
    assert isinstance(outcome, Rejected | RetryLater)
    return outcome.because if isinstance(outcome, Rejected) else LATER


def test_the_rows_are_all_there() -> None:
    assert (ROWS.keys(), KINDS.keys(), CODES.keys()) == (ENHANCED.keys(), SUBJECTS.keys(), PLAIN.keys())


@pytest.mark.parametrize("status", ROWS)
def test_a_recipients_enhanced_status(status: str) -> None:
    assert read(judged("RCPT", 550, f"5.{status} some words")) == ROWS[status]
    assert read(judged("RCPT", 450, f"4.{status} some words")) == LATER
    assert read(judged("RCPT", 450, f"5.{status} the class of the code counts")) == LATER


@pytest.mark.parametrize("status", ROWS)
def test_an_enhanced_status_after_the_text_is_final_where_the_code_is(status: str) -> None:
    outcome = judged("END", 550, f"5.{status} some words")
    assert isinstance(outcome, Rejected)
    assert outcome.because == (ADDRESS if ROWS[status] == ADDRESS else "")
    assert isinstance(judged("END", 451, f"4.{status} some words"), RetryLater)


@pytest.mark.parametrize("subject", KINDS)
def test_a_status_that_nobody_lists_is_judged_by_its_subject(subject: str) -> None:
    assert read(judged("RCPT", 554, f"5.{subject}.99 some words")) == KINDS[subject]


@pytest.mark.parametrize("code", CODES)
def test_a_recipients_code_without_a_status(code: int) -> None:
    assert read(judged("RCPT", code, "some words")) == CODES[code]
    assert read(judged("END", code, "some words")) == REFUSED


@pytest.mark.parametrize("code", [500, 501, 502, 503, 504, 521, 554, 555, 571, 599])
def test_other_codes_refuse_the_message_and_say_nothing_of_the_address(code: int) -> None:
    assert judged("RCPT", code, "some words") == Rejected(reason=f"the mail server refuses the message ({code})")


@pytest.mark.parametrize("code", [530, 534, 535, 538])
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "END"])
def test_a_log_in_that_is_wanted_is_for_somebody_to_set_right(step: Step, code: int) -> None:
    outcome = judged(step, code, "5.7.0 log in first")
    assert isinstance(outcome, RetryLater)
    assert "check username, password and security" in outcome.reason


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (550, "relay not permitted"),
        (550, "<ann@mail.example> Relaying denied. Proper authentication required."),
        (550, "5.7.1 Unable to relay"),
        (550, "5.7.54 SMTP; Unable to relay recipient in non-accepted domain"),
        (551, "we do not relay"),
        (553, "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"),
        (554, "5.7.1 <ann@mail.example>: Relay access denied"),
        (550, "Please authenticate before sending"),
    ],
)
def test_a_server_that_passes_on_nothing_of_ours_is_for_somebody_to_set_right(code: int, text: str) -> None:
    outcome = judged("RCPT", code, text)
    assert isinstance(outcome, RetryLater)
    assert "check username and password" in outcome.reason
    assert isinstance(judged("END", code, text), Rejected)


@pytest.mark.parametrize(
    "text",
    [
        "rejected because 192.0.2.1 is in a black list at zen.spamhaus.org",
        "JunkMail rejected",
        "blocked by policy",
        "Sender verify failed",
        "SPF check failed",
    ],
)
@pytest.mark.parametrize("code", [550, 553])
def test_a_rule_of_the_server_says_nothing_of_the_address(code: int, text: str) -> None:
    assert judged("RCPT", code, text) == Rejected(reason=f"a rule of the mail server refuses the message ({code})")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "no such user",
            "User unknown",
            "Unrouteable address",
            "user not listed here",
            "<spam@relay.example> unknown",
        ),
        *("relay@mail.example is nobody here", "5.1.1 relaying: no such user"),
    ],
)
def test_words_of_the_address_say_nothing_of_rules(text: str) -> None:
    assert read(judged("RCPT", 550, text)) == ADDRESS


@pytest.mark.parametrize("code", [-1, 0, 99, 220, 250, 354])
def test_what_is_neither_yes_nor_no_is_unknown_after_the_text_alone(code: int) -> None:
    assert isinstance(judged("END", code, ""), Unknown)
    for step in ("MAIL", "RCPT", "DATA"):
        assert isinstance(judged(step, code, ""), RetryLater)


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "END"])
def test_the_servers_own_words_are_not_told_on(step: Step) -> None:
    for code in (-1, 250, 421, 450, 530, 550, 554):
        outcome = judged(step, code, "5.1.1 <ann@mail.example> is not here")
        assert "ann" not in repr(outcome)


@pytest.mark.parametrize(
    ("status", "because"),
    [("5.1.1", "address"), ("5.2.1", "address"), ("5.1.99", "address"), ("5.7.1", ""), ("5.2.2", ""), ("5.9.9", "")],
)
def test_a_permanent_status_in_a_report(status: str, because: Because) -> None:
    meaning = reported(status)
    assert meaning is not None
    assert meaning.because == because


@pytest.mark.parametrize("status", ["", "4.1.1", "2.0.0", "5", "5.1", "5.1.1 x", "x"])
def test_anything_else_in_a_report_says_nothing_of_the_address(status: str) -> None:
    assert reported(status) is None
