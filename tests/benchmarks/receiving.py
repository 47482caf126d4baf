"""Receiving alone: signed webhooks over 64 connections into the inbox, beside bare aiohttp. No loop runs meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from statistics import median

from loading import Answers, Load, load
from measuring import Scale
from postgresql import Server
from processes import MEASURING, Child, running
from reporting import Figure
from serving import bare_server, stampcard_server

Serve = Callable[[], AbstractContextManager[Child]]


def measure(scale: Scale, server: Server) -> Iterator[Figure]:
    """Both engines and the floor, in turn."""
    kinds: dict[str, Serve] = {
        "bare": bare_server,
        "sqlite": lambda: stampcard_server(loops=False),
        "postgresql": lambda: stampcard_server(server.new(), loops=False),
    }
    seen: dict[str, list[tuple[Answers, float]]] = {kind: [] for kind in kinds}
    with running(load, core=MEASURING) as loader:
        for _ in range(scale.rounds):
            for kind, serve in kinds.items():
                seen[kind].append(received(loader, serve, scale.receive_for))
    for kind in ("sqlite", "postgresql"):
        pairs = zip(seen[kind], seen["bare"], strict=True)
        rounds = tuple((ours.rate, floor.rate) for (ours, _), (floor, _) in pairs)
        yield Figure(name=f"receive-{kind}", rounds=rounds, also=f"{_told(seen[kind])}; bare: {_told(seen['bare'])}")


def received(loader: Child, serve: Serve, seconds: float) -> tuple[Answers, float]:
    """One load on a fresh server: what came back, and the processor's time (µs) per request."""
    with serve() as server:
        _warm(loader, server)
        before = server.ask()
        answers: Answers = loader.ask(Load(address=server.ready, count=int(seconds * 13_000), seconds=seconds))
        used = server.ask() - before
    return answers, used / len(answers.answered) * 1e6


def _warm(loader: Child, server: Child) -> None:
    """A few hundred, so that nothing is measured that happens once in a process."""
    loader.ask(Load(address=server.ready, count=300, first_order=50_000_000))


def _told(seen: list[tuple[Answers, float]]) -> str:
    half, most = (median(answers.wait(share) for answers, _ in seen) * 1000 for share in (0.5, 0.99))
    return f"p50 {half:.1f} ms, p99 {most:.1f} ms, {median(used for _, used in seen):.0f} µs of the processor each"
