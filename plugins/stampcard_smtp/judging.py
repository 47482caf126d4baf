"""What a mail server's answers mean: whether to come again, and whether it is the address that is no good."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from stampcard.plugin import Because, Outcome, Rejected, RetryLater, Unknown

#: Which command was answered; END is the dot after the text, behind which a mail is the server's.
Step = Literal["MAIL", "RCPT", "DATA", "END"]
_ENHANCED = re.compile(r"[245]\.(\d{1,3}\.\d{1,3})\b")
_STATUS = re.compile(r"([245])\.(\d{1,3}\.\d{1,3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a permanent status says. `passing`: it is called permanent, and passes for all that."""

    words: str
    because: Because = ""
    passing: bool = False


def _gone(words: str) -> Meaning:
    return Meaning(words=words, because="address")


def _refused(words: str) -> Meaning:
    return Meaning(words=words)


def _passing(words: str) -> Meaning:
    return Meaning(words=words, passing=True)


#: Enhanced status codes (RFC 3463 and its register), without their first figure.
ENHANCED: Mapping[str, Meaning] = {
    "1.1": _gone("there is no such mailbox"),
    "1.2": _gone("the address's domain takes no mail"),
    "1.3": _gone("the address is not written as one"),
    "1.4": _gone("the address stands for several mailboxes"),
    "1.6": _gone("the mailbox has moved and left no address"),
    "1.7": _refused("the sender's address is not written as one"),
    "1.8": _refused("the sender's domain is not known"),
    "1.9": _refused("the message cannot be passed on"),
    "1.10": _gone("the address's domain takes no mail"),
    "2.1": _gone("the mailbox is switched off"),
    "2.2": _passing("the mailbox is full"),
    "2.3": _refused("the message is too long for the mailbox"),
    "3.1": _passing("the recipient's system is full"),
    "3.2": _passing("the recipient's system takes no messages now"),
    "3.4": _refused("the message is too long"),
    "4.1": _refused("the recipient's system does not answer, or lets nobody through"),
    "4.4": _gone("there is no way to the address's domain"),
    "4.5": _passing("the recipient's system has too much to do"),
    "4.6": _refused("the message went round in a circle"),
    "4.7": _refused("the message was not taken within its time"),
    "7.1": _refused("the recipient's system does not let us send"),
    "7.13": _gone("the mailbox is switched off"),
    "7.17": _gone("the mailbox belongs to somebody else by now"),
}
#: What is left of them, by their first part.
SUBJECTS: Mapping[str, Meaning] = {
    "1": _gone("the address is no good"),
    "2": _refused("the mailbox takes no such message"),
    "3": _refused("the recipient's system takes no such message"),
    "4": _refused("the message could not be brought there"),
    "5": _refused("the server did not understand what it was told"),
    "6": _refused("the message is written in a way that is not taken"),
    "7": _refused("a rule of the recipient's system refuses the message"),
}
#: Answers to RCPT without an enhanced status (RFC 5321, 4.2.3; RFC 7504).
PLAIN: Mapping[int, Meaning] = {
    550: _gone("there is no such mailbox"),
    551: _gone("there is no such mailbox here"),
    552: _passing("the mailbox is full"),
    553: _gone("the mailbox's name is not allowed"),
    556: _gone("the address's domain takes no mail"),
}
_OTHER = _refused("the mail server refuses the message")
#: A server says by these that it passes mails on for those alone whom it knows; many give no status with it.
_RELAYING = re.compile(r"\brelay(?:s|ed|ing)?\b|\brcpthosts\b|\bauthenticat(?:e|ed|ion)\b", re.IGNORECASE)
#: And by these that it is not the mailbox that is wrong.
_RULING = re.compile(
    r"\b(?:block|black|(?<!not )listed|denied|deny|spam|junk|polic|reputation|rbl|dnsbl|sender|spf|dkim|dmarc)",
    re.IGNORECASE,
)
_ADDRESSES = re.compile(r"<[^>]*>|\S+@\S+")
_RULE = _refused("a rule of the mail server refuses the message")
#: It wants a log-in, or a better one.
_LOGIN = frozenset({530, 534, 535, 538})
PERMANENT = 500


def judged(step: Step, code: int, text: str) -> Outcome:
    """What became of a message whose command was answered like that, which is no success."""
    found = _ENHANCED.match(text)
    status = found[1] if found else ""
    told = f"{code} {found[0]}" if found else str(code)
    if code < PERMANENT and not is_passing(code):
        return _garbled(step, told)
    if code in _LOGIN:
        return RetryLater(reason=f"the mail server wants a log-in ({told}): check username, password and security")
    words = _ADDRESSES.sub(" ", text)
    if step == "RCPT" and (not status or status.startswith("7.")) and _RELAYING.search(words):
        return RetryLater(reason=f"the mail server passes on nothing of ours ({told}): check username and password")
    if step == "MAIL" and not is_passing(code):
        # It says nothing of the recipient: somebody puts the setting right, and no message is lost meanwhile.
        return RetryLater(reason=f"the mail server refuses who mails come from ({told}): check sender and username")
    meaning = _enhanced(status) if status else _plain(step, code, words)
    if is_passing(code) or (meaning.passing and step != "END"):
        why = meaning.words if meaning.passing or status in ENHANCED else "the mail server wants it later"
        return RetryLater(reason=f"{why} ({told})")
    return Rejected(reason=f"{meaning.words} ({told})", because=meaning.because)


def reported(status: str) -> Meaning | None:
    """What the status in a report says, if it is a permanent one; None for all else."""
    found = _STATUS.fullmatch(status)
    return _enhanced(found[2]) if found and found[1] == "5" else None


def is_passing(code: int) -> bool:
    return 400 <= code < PERMANENT  # noqa: PLR2004 - the class of answers that pass


def _garbled(step: Step, told: str) -> Outcome:
    """Neither yes nor no."""
    reason = f"the mail server's answer is none that SMTP knows ({told})"
    return Unknown(reason=reason) if step == "END" else RetryLater(reason=reason)


def _plain(step: Step, code: int, words: str) -> Meaning:
    """What a code says that has no status: of the recipient only if the words beside it do not say otherwise."""
    meaning = PLAIN.get(code, _OTHER) if step == "RCPT" else _OTHER
    return _RULE if meaning.because and _RULING.search(words) else meaning


def _enhanced(status: str) -> Meaning:
    return ENHANCED.get(status) or SUBJECTS.get(status.partition(".")[0], _OTHER)
