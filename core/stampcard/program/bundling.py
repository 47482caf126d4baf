"""A program and the messages that stand in files beside it, as the one text that is stored and versioned."""

from __future__ import annotations

from collections.abc import Sequence

from stampcard.domain.value import Value
from stampcard.errors import Problem

_BORDER = "---\n"


class Bundle(Value, frozen=True):
    """The one text, and from which line on (counted from 1) it is that of which file."""

    text: str
    starts: tuple[tuple[int, str], ...]

    def placed(self, problem: Problem) -> tuple[str, Problem]:
        """The file in which a problem stands, and the problem with its line there."""
        first, name = next(
            ((line, name) for line, name in reversed(self.starts) if line <= problem.line), self.starts[0]
        )
        line = problem.line and problem.line - first + 1
        return name, Problem(problem.message, path=problem.path, line=line, column=problem.column)


def bundled(name: str, text: str, beside: Sequence[tuple[str, str]]) -> Bundle:
    """A program's text with those of its messages behind it, each of whom is told by its file's name."""
    whole, starts = text, [(1, name)]
    for file, message in beside:
        whole += ("" if whole.endswith("\n") else "\n") + _BORDER
        starts.append((whole.count("\n") + 1, file))
        whole += message.removeprefix(_BORDER)
    return Bundle(text=whole, starts=tuple(starts))
