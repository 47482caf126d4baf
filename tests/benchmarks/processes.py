"""Processes of our own: each on its core, talked to over a pipe, ended by its own handle."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

#: Seconds after which a process that does not answer is taken to be stuck.
PATIENCE = 120.0
#: Where what is measured runs, and where what measures it does.
MEASURED, MEASURING = 0, 1


class Child:
    """A process that answers what it is asked; its first message says that it is ready."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.ready: Any = self._answer()

    def ask(self, question: Any = None) -> Any:
        """Ask and wait for the answer."""
        self.tell(question)
        return self._answer()

    def tell(self, question: Any) -> None:
        """Ask, and let it work."""
        self._pipe.send(question)

    def answer(self) -> Any:
        """The answer to what was told."""
        return self._answer()

    def _answer(self) -> Any:
        if not self._pipe.poll(PATIENCE):
            message = f"a process did not answer within {PATIENCE:g} seconds"
            raise TimeoutError(message)
        return self._pipe.recv()


@contextmanager
def running(work: Callable[..., None], *arguments: Any, core: int | None = None) -> Iterator[Child]:
    """`work(pipe, *arguments)` in a process of its own, on that core; it ends with the context, whatever happens."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_begin, args=(theirs, core, work, arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Child(ours)
    finally:
        ours.close()  # the other side reads the end of the pipe, and stops
        process.join(20)
        if process.is_alive():
            process.kill()
            process.join()


def _begin(pipe: Connection, core: int | None, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    gc.set_threshold(50_000, 20, 50)  # as `stampcard serve` does
    if core is not None and hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > core:
        os.sched_setaffinity(0, {core})
    work(pipe, *arguments)


async def answering(pipe: Connection, first: Any, answer: Callable[[Any], Awaitable[Any]]) -> None:
    """Say `first`, then answer questions without blocking the loop, until the other side is gone."""
    pipe.send(first)
    while True:
        try:
            question = await asyncio.to_thread(pipe.recv)
        except EOFError:
            return
        await asyncio.to_thread(pipe.send, await answer(question))
