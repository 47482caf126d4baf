"""Measure, print the table, write bench.json. Figures are ratios within one run; absolutes are this machine's today."""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path

# `python -P` leaves this folder out.
sys.path.insert(0, str(Path(__file__).parent))

import applying
import deciding
import ending
import growing
import midnight
import receiving
import reminding
import starting
import summing
import travelling
from measuring import FULL, QUICK, Scale
from postgresql import Server, postgresql
from reporting import Figure, assemble

from stampcard.domain.value import replace

RESULT = Path("bench.json")

Open = Callable[[], Server]
#: Name → what measures it; PostgreSQL is started for those that ask for it.
BENCHMARKS: Mapping[str, Callable[[Scale, Open], Iterator[Figure]]] = {
    "start": lambda scale, _: starting.measure(scale),
    "decide": lambda scale, _: deciding.measure(scale),
    "receive": lambda scale, server: receiving.measure(scale, server()),
    "apply": lambda scale, server: applying.measure(scale, server()),
    "whole": lambda scale, _: travelling.measure(scale),
    "midnight": lambda scale, _: midnight.measure(scale),
    "growth": lambda scale, _: growing.measure(scale),
    "ending": lambda scale, _: ending.measure(scale),
    "reminders": lambda scale, _: reminding.measure(scale),
    "reports": lambda scale, _: summing.measure(scale),
}


def main() -> int:
    """Answers 1 when a benchmark failed, whatever the figures are."""
    arguments = _arguments()
    scale = QUICK if arguments.quick else FULL
    if arguments.rounds:
        scale = replace(scale, rounds=arguments.rounds)
    if arguments.members:
        scale = replace(scale, members=arguments.members)
    gc.set_threshold(50_000, 20, 50)  # as `stampcard serve` does
    started, load = time.monotonic(), os.getloadavg()[0]
    figures, failed = _measured(arguments.only or list(BENCHMARKS), scale)
    about = {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "processors": os.cpu_count(),
        "quick": arguments.quick,
        "rounds": scale.rounds,
        "seconds": round(time.monotonic() - started),
        "load_before": round(load, 2),
        "failed": failed,
    }
    table, result = assemble(figures, about)
    sys.stdout.write(table)
    sys.stdout.write(", ".join(f"{name} {value}" for name, value in about.items()) + "\n")
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf8")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="measure this; may be given several times")
    parser.add_argument("--rounds", type=int, help=f"how often everything is measured in turn (default {FULL.rounds})")
    parser.add_argument(
        "--members",
        type=int,
        help=f"members of midnight, growth, ending, reminders and reports (default {FULL.members:,})",
    )
    parser.add_argument("--quick", action="store_true", help="a small look: one round of little")
    return parser.parse_args()


def _measured(names: list[str], scale: Scale) -> tuple[list[Figure], list[str]]:
    """The figures, and the benchmarks that failed: one that fails must not take the others' figures with it."""
    figures: list[Figure] = []
    failed = []
    with ExitStack() as stack:
        server = cache(lambda: stack.enter_context(postgresql()))
        for name in names:
            started = time.monotonic()
            try:
                figures += BENCHMARKS[name](scale, server)
            except Exception:  # noqa: BLE001 - it is told, and the others go on
                traceback.print_exc()
                failed.append(name)
            sys.stderr.write(f"{name}: {time.monotonic() - started:.0f} s\n")
    return figures, failed


if __name__ == "__main__":
    sys.exit(main())
