"""What a look at a right program has to say, before its place in the text is known."""

from __future__ import annotations

from typing import NamedTuple

from stampcard.program.parsing import Path


class Remark(NamedTuple):
    """Something that is allowed and probably not meant; `code` stays the same for good."""

    code: str
    path: Path
    message: str
