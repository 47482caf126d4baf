"""Finding the simulated vendors that are installed."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Protocol

from stampcard.errors import NotFound
from stampcard.testing.simulator import Simulator

GROUP = "stampcard.simulators"


class SimulatorModule(Protocol):
    """What an entry point of the group leads to."""

    def build(self, seed: int) -> Simulator:
        """A simulator; the same seed plays the same history."""


def simulated_vendors() -> tuple[str, ...]:
    """The plugins whose vendor can be simulated."""
    return tuple(sorted(entry.name for entry in entry_points(group=GROUP)))


def simulator_of(plugin: str) -> SimulatorModule:
    """The simulator of a plugin's vendor; raises NotFound."""
    for entry in entry_points(group=GROUP, name=plugin):
        module: SimulatorModule = entry.load()
        return module
    raise NotFound("simulator of", plugin)
