"""Everything that Stampcard raises on purpose.

StampcardError
├── ConfigurationError      a setting, a key file or a connection section is wrong
│   └── InvalidSettings     several are wrong; carries all of them
├── ProgramError            a program file is wrong; carries its problems with their positions
├── PluginError             a plugin cannot be loaded or connected, or broke its contract
│   └── PluginSuspended     it failed too often in a row, or is stopped; what needs it waits
├── WebhookRefused          a webhook that is not taken in
│   ├── InvalidSignature    the signature does not fit the bytes (401)
│   └── CannotVerify        the plugin lacks what it needs to tell (503)
├── MalformedPayload        a verified body does not have the vendor's shape
├── EventRefused            a well-formed event that must not change anything
├── RequestRefused          a request by REST or CLI that cannot be granted
│   ├── NotFound
│   │   └── Merged          the member is another by now, whom the text names
│   ├── Conflict
│   ├── InsufficientPoints
│   └── ItemsRefused        several of a batch; carries each with its index
├── TextFailed              a text of a message cannot be written out for somebody
├── RowRefused              a row of a file that cannot be imported; the others go on
├── CallRefused             an outbound call that the security rules forbid
└── Unavailable             the database or a queue cannot take work now; nothing was promised
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Sequence


class StampcardError(Exception):
    """The root: catch this to catch everything that Stampcard raises on purpose."""


class ConfigurationError(StampcardError):
    """A setting is wrong: says which one, what stands there and what to change."""

    def __init__(self, setting: str, problem: str, remedy: str = "") -> None:
        self.setting = setting
        self.problem = problem
        self.remedy = remedy
        super().__init__(setting, problem, remedy)

    def __str__(self) -> str:
        return f"{self.setting}: {self.problem}" + (f". {self.remedy}" if self.remedy else "")


class InvalidSettings(ConfigurationError):
    """Several settings are wrong; `problems` says each, one to a line."""

    def __init__(self, problems: Sequence[ConfigurationError]) -> None:
        self.problems = tuple(problems)
        super().__init__(problems[0].setting, problems[0].problem, problems[0].remedy)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class Problem:
    """One thing wrong in a program file, with its place (lines and columns count from 1)."""

    __slots__ = ("column", "line", "message", "path")

    def __init__(self, message: str, *, path: str = "", line: int = 0, column: int = 0) -> None:
        self.message = message
        self.path = path
        self.line = line
        self.column = column

    def __str__(self) -> str:
        where = f"{self.line}:{self.column} " if self.line else ""
        return f"{where}{self.path + ': ' if self.path else ''}{self.message}"


class ProgramError(StampcardError):
    """A program file cannot be used; `problems` says everything that is wrong with it."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        self.name = name
        self.problems = tuple(problems)
        super().__init__(name, self.problems)

    def __str__(self) -> str:
        return "\n".join(f"{self.name}:{problem}" for problem in self.problems)


class PluginError(StampcardError):
    """A plugin cannot be used, or did what its contract forbids."""

    def __init__(self, plugin: str, problem: str) -> None:
        self.plugin = plugin
        self.problem = problem
        super().__init__(plugin, problem)

    def __str__(self) -> str:
        return f"plugin {self.plugin!r}: {self.problem}"


class PluginSuspended(PluginError):
    """A plugin failed too often in a row, or was stopped, and is not asked until somebody starts it again."""

    retry_after = 60.0


class WebhookRefused(StampcardError):
    """A webhook that is not taken in; nothing of it is stored."""


class InvalidSignature(WebhookRefused):
    """The signature is absent or does not fit the bytes."""

    def __init__(self, reason: str = "the signature does not fit the body", setting: str = "") -> None:
        self.reason = reason
        self.setting = setting
        super().__init__(reason, setting)

    def __str__(self) -> str:
        return self.reason + (f" (check {self.setting})" if self.setting else "")


class CannotVerify(WebhookRefused):
    """The plugin cannot tell now whether the signature is good, so the sender shall come again."""

    def __init__(self, reason: str, retry_after: float = 30.0) -> None:
        self.reason = reason
        self.retry_after = retry_after
        super().__init__(reason, retry_after)

    def __str__(self) -> str:
        return self.reason


class MalformedPayload(StampcardError):
    """A verified body that does not have the shape its vendor publishes."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)

    def __str__(self) -> str:
        return self.problem


class EventRefused(StampcardError):
    """A well-formed event that must not change anything: `code` for machines, `detail` for people."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        self.detail = detail
        super().__init__(code, detail)

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


class TextFailed(StampcardError):
    """A text of a message that cannot be written out for somebody; says which and why."""


class RequestRefused(StampcardError):
    """A request that cannot be granted: `code` for machines, `detail` for people."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        self.detail = detail
        super().__init__(code, detail)

    def __str__(self) -> str:
        return self.detail


class NotFound(RequestRefused):
    """What the request names does not exist for this merchant; `close` is what may have been meant."""

    def __init__(self, what: str, name: str, close: str = "") -> None:
        hint = f". Did you mean {close!r}?" if close else ""
        super().__init__("not_found", f"there is no {what} {name!r}{hint}")


class Merged(NotFound):
    """The member was merged into another, who has all of theirs."""

    def __init__(self, member: str, into: str) -> None:
        self.into = into
        super().__init__("member", member)
        self.code = "merged"
        self.detail = f"the member {member!r} was merged into {into!r}: ask for that one"


class Conflict(RequestRefused):
    """The request contradicts what is already there."""


class InsufficientPoints(RequestRefused):
    """A debit asks for more than the wallet's active points (both in the wallet's smallest unit)."""

    def __init__(self, wanted: int, active: int) -> None:
        self.wanted = wanted
        self.active = active
        super().__init__("insufficient_points", f"{wanted} points were asked for, {active} are active")


class ItemsRefused(RequestRefused):
    """Items of a batch cannot be granted, so none is; `items` has each index, counting from 0, with its reason."""

    def __init__(self, items: Sequence[tuple[int, RequestRefused]]) -> None:
        self.items = tuple(items)
        super().__init__("items_refused", f"{len(self.items)} items cannot be granted, so nothing was changed")


class RowRefused(StampcardError):
    """A row of a file that cannot be imported: `code` for machines; where it is, what stands there and what to change.

    `column` is empty where the row as a whole is meant, `value` where nothing stands there.
    """

    def __init__(
        self, code: str, problem: str, remedy: str = "", *, line: int = 0, column: str = "", value: str = ""
    ) -> None:
        self.code = code
        self.problem = problem
        self.remedy = remedy
        self.line = line
        self.column = column
        self.value = value
        super().__init__(code, problem, remedy, line, column, value)

    def __str__(self) -> str:
        where = [f"line {self.line}"] if self.line else []
        where += [f"column {self.column!r}"] if self.column else []
        what = f"{self.value!r} {self.problem}" if self.value else self.problem
        return f"{', '.join(where)}{': ' if where else ''}{what}" + (f"; {self.remedy}" if self.remedy else "")

    def at(self, line: int, column: str = "") -> RowRefused:
        """The same, in its place."""
        return RowRefused(self.code, self.problem, self.remedy, line=line, column=column, value=self.value)


class CallRefused(StampcardError):
    """An outbound call that the security rules forbid."""

    def __init__(self, target: str, reason: str) -> None:
        self.target = target
        self.reason = reason
        super().__init__(target, reason)

    def __str__(self) -> str:
        return f"{self.target}: {self.reason}"


class Unavailable(StampcardError):
    """Work cannot be taken now: `what` is unavailable; come again after `retry_after` seconds."""

    def __init__(self, what: str, retry_after: float = 5.0) -> None:
        self.what = what
        self.retry_after = retry_after
        super().__init__(what, retry_after)

    def __str__(self) -> str:
        return f"{self.what} is unavailable"


def place_of(error: BaseException) -> str:
    """What kind of error it was and where it came from; never its text, which may quote a person's data."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].name}, line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


def trace_of(error: BaseException) -> list[str]:
    """The way that an error came, a place each, and never its text."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{os.path.basename(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]  # noqa: PTH119 - text, no file


def told(error: BaseException) -> str:
    """An error in words: ours say what to change, of any other only its kind is told."""
    return str(error) if isinstance(error, StampcardError) else type(error).__name__
