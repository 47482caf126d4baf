from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

from stampcard.host.discovering import GROUP
from stampcard.plugin import API_VERSION, hookspecs
from stampcard.testing.rules.case import Case

#: Imports a module and tells what it did meanwhile that no import may do.
_IMPORTING = """
import importlib, sys
forbidden = {"socket.connect", "socket.sendto", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname",
             "subprocess.Popen", "os.system", "os.posix_spawn"}
seen = []
sys.addaudithook(lambda event, arguments: seen.append(event) if event in forbidden else None)
importlib.import_module(sys.argv[1])
sys.exit(f"importing {sys.argv[1]} did {', '.join(seen)}" if seen else 0)
"""


def hook_specs() -> Mapping[str, Callable[..., Any]]:
    """Every hook of the plugin API by its name, in the order of its page."""
    marked = f"{hookspecs.PROJECT}_spec"
    return {name: value for name, value in vars(hookspecs).items() if hasattr(value, marked)}


class NamingRules(Case):
    """What the plugin calls itself, and which hooks it has."""

    def test_manifest_and_entry_point_and_folder_have_one_name(self) -> None:
        """The manifest's name is that of the one entry point, and the folder's behind ``stampcard_``."""
        name, module = self.manifest().name, self.plugin.__name__
        assert module.partition(".")[0] == f"stampcard_{name}"
        entries = {entry.name for entry in metadata.entry_points(group=GROUP) if entry.module == module}
        assert entries == {name}, f"entry points of the group {GROUP} for {module}"

    def test_it_is_made_for_this_api(self) -> None:
        """The api_version has the host's major number and a minor number that is no newer."""
        made_for = self.manifest().api_version
        assert made_for[0] == API_VERSION[0], f"made for {made_for}, the host offers {API_VERSION}"
        assert made_for <= API_VERSION, f"made for {made_for}, the host offers {API_VERSION}"

    def test_the_host_takes_it(self) -> None:
        """The host finds nothing wrong when it loads the plugin: no unknown hook, no wrapper, settings of our kind."""
        assert [failed.reason for failed in self.table().failed] == []

    def test_every_hook_has_the_signature_of_its_spec(self) -> None:
        """A hook is marked, and names arguments of its spec only, none with a default: the host would never fill it."""
        for name, (spec, function) in self._hooks().items():
            assert hasattr(function, f"{hookspecs.PROJECT}_impl"), f"{name} lacks @hookimpl, so it is never called"
            known = inspect.signature(spec).parameters
            for argument, told in inspect.signature(function).parameters.items():
                assert argument in known, f"{name} has no argument {argument!r}; it has {list(known)}"
                assert told.kind is told.POSITIONAL_OR_KEYWORD, f"{name}: {argument} must be a plain argument"
                assert told.default is told.empty, f"{name}: {argument} must not have a default"

    def test_every_hook_is_async_or_plain_as_its_spec(self) -> None:
        """Hooks that the host awaits are ``async def``, all others are plain functions."""
        for name, (spec, function) in self._hooks().items():
            due = inspect.iscoroutinefunction(spec)
            assert inspect.iscoroutinefunction(function) == due, f"{name} must be {'async def' if due else 'plain def'}"
            assert not inspect.isasyncgenfunction(function), f"{name} must not be an async generator"

    def test_a_valid_section_connects(self) -> None:
        """With `settings` and a vendor that is well, connect gives Capabilities that the host accepts."""

        async def connect() -> list[str]:
            async with self.visiting() as visit:
                return sorted(sink.kind for sink in visit.capabilities.sinks)

        assert self.run(connect()) == sorted(self.sinks), "the kinds of its sinks"

    def test_importing_it_touches_nothing_outside(self) -> None:
        """Importing the module opens no connection and starts no process."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run(  # noqa: S603 - this very interpreter
            [sys.executable, "-c", _IMPORTING, self.plugin.__name__],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def _hooks(self) -> dict[str, tuple[Callable[..., Any], Callable[..., Any]]]:
        """Each hook that the plugin has: the spec and the function."""
        found = {name: (spec, getattr(self.plugin, name, None)) for name, spec in hook_specs().items()}
        return {name: (spec, function) for name, (spec, function) in found.items() if function is not None}
