"""A YAML text as a tree of places, and changes to it that leave all else as it stands: comments, order, quotes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent, Event, MappingStartEvent, ScalarEvent

from stampcard.errors import ProgramError
from stampcard.program.parsing import Path, parse
from stampcard.program.rendering import block, flow, key_text, line

_COMMENT = re.compile(r"(?:^|(?<=\s))#[^\n]*")


@dataclass(slots=True)
class Node:
    """Where something stands: from `start` up to `end`, where its last text ends, and how far in its first line is."""

    start: int
    end: int
    column: int
    is_flow: bool = False
    is_empty: bool = False
    entries: dict[str, tuple[Node, Node]] = field(default_factory=dict)
    items: list[Node] = field(default_factory=list)


class Text:
    """A program's text and where everything stands; each change answers a new text."""

    def __init__(self, text: str, name: str) -> None:
        """Raises ProgramError for what cannot be read."""
        document, problems = parse(text)
        if document is None or problems:
            raise ProgramError(name, problems)
        self.text = text
        self.data: Any = document.data
        self._scalars: list[tuple[int, int]] = []
        events: Iterator[Event] = iter(YAML(typ="safe", pure=True).parse(text))
        self.root = self._node(next(event for event in events if isinstance(event, MappingStartEvent)), events)

    def value(self, path: Path) -> Any:
        """What stands at a path."""
        value = self.data
        for part in path:
            value = value[part]
        return value

    def node(self, path: Path) -> Node:
        """Where it stands."""
        node = self.root
        for part in path:
            node = node.items[part] if isinstance(part, int) else node.entries[part][1]
        return node

    def replaced(self, path: Path, new: Any) -> str:
        """Another value for a key; the whole lines of comments that stood in the old one come before it."""
        key, old = self.node(path[:-1]).entries[str(path[-1])]
        if old.is_flow and not old.is_empty:
            kept = self._comments(old.start, old.end)
            written = flow(new) if self.node(path[:-1]).is_flow else line(new)
            return self._spliced(old.start, old.end, written, kept, self._line(key.start))
        after = self._after_colon(key)
        first = self.text[after : self._line_end(after)] if not old.is_empty else ""
        remark = first.rstrip() if _COMMENT.search(first) else ""
        kept = self._comments(after + len(first), old.end) if not old.is_empty else []
        return self._spliced(
            after, after if old.is_empty else old.end, f" {line(new)}{remark}", kept, self._line(key.start)
        )

    def with_entry(self, path: Path, key: str, value: Any, levels: int) -> str:
        """One more key at the end of a section; `levels` of it are written as a block."""
        node = self.node(path)
        last = list(node.entries.values())[-1]
        end = last[0].end if last[1].is_empty else last[1].end
        if node.is_flow:
            return self._cut(end, end, f", {key_text(key)}: {flow(value)}")
        return self._with_lines(end, block({key: value}, node.column, levels + 1))

    def without_entry(self, path: Path, *, keep: bool) -> str:
        """One key less; `keep` the whole lines of comments in it."""
        parent, name = self.node(path[:-1]), str(path[-1])
        if len(parent.entries) == 1:
            return self.replaced(path[:-1], {})
        key, value = parent.entries[name]
        end = self._after_colon(key) if value.is_empty else value.end
        kept = self._comments(key.start, end) if keep else []
        spans = [(k.start, v.end) for k, v in parent.entries.values()]
        if parent.is_flow:
            return self._spliced(*_in_flow(spans, key.start, end), "", kept, self._line(key.start))
        if not self.text[self._line(key.start) : key.start].strip():
            return self._without_lines(key.start, end, kept)
        # It shares its line with the dash of its list, so the next one moves up.
        following = next(start for start, _ in spans if start > key.start)
        kept = self._comments(key.start, following) if keep else []
        return self._spliced(key.start, following, "", kept, self._line(key.start))

    def with_item(self, path: Path, value: Any, levels: int) -> str:
        """One more at the end of a list that is not empty."""
        node = self.node(path)
        end = node.items[-1].end
        if node.is_flow:
            return self._cut(end, end, f", {flow(value)}")
        is_loose = len(node.items) > 1 and "\n\n" in self.text[node.items[-2].end : node.items[-1].start]
        return self._with_lines(end, [""] * is_loose + block([value], node.column, levels + 1))

    def without_item(self, path: Path, index: int) -> str:
        """One less in a list, with the comments that stand in it."""
        node = self.node(path)
        if len(node.items) == 1:
            return self.replaced(path, [])
        item = node.items[index]
        if node.is_flow:
            spans = [(one.start, one.end) for one in node.items]
            return self._cut(*_in_flow(spans, item.start, item.end), "")
        before = node.items[index - 1].end if index else node.start
        dash = self.text.rfind(f"\n{' ' * node.column}-", before, item.start) + 1 if index else node.start
        if self.text[self._line(dash) : dash].strip():
            return self._cut(dash, node.items[index + 1].start, "- ")
        return self._without_lines(dash, item.end, [])

    def with_section(self, key: str, value: Any, levels: int) -> str:
        """A section of the file that was not there, or that was empty."""
        lines = block({key: value}, 0, levels + 1)
        if key not in self.root.entries:
            return self.with_entry((), key, value, levels)
        written, old = self.root.entries[key]
        start, end = self._line(written.start), self._after_colon(written) if old.is_empty else old.end
        if self.root.is_flow or _COMMENT.search(self.text[end : self._line_end(end)]):
            return self.replaced((key,), value)
        return self._cut(start, self._line_end(end), "\n".join(lines))

    def _node(self, start: Event, events: Iterator[Event]) -> Node:
        begins, column = start.start_mark.index, start.start_mark.column
        if isinstance(start, ScalarEvent):
            ends = begins + len(self.text[begins : start.end_mark.index].rstrip())
            self._scalars.append((begins, ends))
            return Node(begins, ends, column, is_flow=True, is_empty=begins == ends)
        assert isinstance(start, CollectionStartEvent)
        node = Node(begins, begins, column, is_flow=bool(start.flow_style))
        for event in events:
            if isinstance(event, CollectionEndEvent):
                node.end = event.end_mark.index if node.is_flow else node.end
                break
            first = self._node(event, events)
            if isinstance(start, MappingStartEvent) and isinstance(event, ScalarEvent):
                second = self._node(next(events), events)
                node.entries[str(event.value)] = (first, second)
                node.end = self._after_colon(first) if second.is_empty else second.end
            else:
                node.items.append(first)
                node.end = first.end
        return node

    def _after_colon(self, key: Node) -> int:
        colon = self.text.find(":", key.end)
        return colon + 1 if colon >= 0 and not self.text[key.end : colon].strip() else key.end

    def _line(self, at: int) -> int:
        return self.text.rfind("\n", 0, at) + 1

    def _line_end(self, at: int) -> int:
        end = self.text.find("\n", at)
        return len(self.text) if end < 0 else end

    def _comments(self, start: int, end: int) -> list[str]:
        """The whole lines of comments between two places."""
        inside = sorted(span for span in self._scalars if start <= span[0] < end)
        edges = [start, *(at for span in inside for at in span), end]
        gaps = zip(edges[::2], edges[1::2], strict=True)
        found = [gap[0] + one.start() for gap in gaps for one in _COMMENT.finditer(self.text[slice(*gap)])]
        whole = [at for at in found if not self.text[self._line(at) : at].strip()]
        return [self.text[self._line(at) : self._line_end(at)] for at in whole]

    def _cut(self, start: int, end: int, new: str) -> str:
        return self.text[:start] + new + self.text[end:]

    def _spliced(self, start: int, end: int, new: str, kept: Sequence[str], below: int) -> str:
        above = "".join(f"{comment}\n" for comment in kept)
        return self.text[:below] + above + self.text[below:start] + new + self.text[end:]

    def _with_lines(self, end: int, lines: Iterable[str]) -> str:
        at = self._line_end(end)
        return self._cut(at, at, "".join(f"\n{line}" for line in lines))

    def _without_lines(self, start: int, end: int, kept: Sequence[str]) -> str:
        after = min(len(self.text), self._line_end(end) + 1)
        if not kept and self.text[: self._line(start)].endswith("\n\n") and self.text[after : after + 1] == "\n":
            after += 1
        return self._cut(self._line(start), after, "".join(f"{comment}\n" for comment in kept))


def _in_flow(spans: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int]:
    """What goes with an entry of a list in one line: the comma after it, or the one before the last."""
    after = [begins for begins, _ in spans if begins > start]
    before = [ends for begins, ends in spans if begins < start]
    return (start, after[0]) if after else (before[-1], end)
