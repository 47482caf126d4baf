"""Finds plugins, checks them, and keeps those that fail apart from those that work."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata
from typing import Any

import pluggy

from stampcard.domain.value import Value
from stampcard.errors import PluginError
from stampcard.plugin import hookspecs
from stampcard.plugin.manifest import API_VERSION, PluginManifest, PluginSettings

GROUP = "stampcard.plugins"
OWN_DISTRIBUTION = "stampcard"


class HookFunction(Value, frozen=True):
    """One plugin's implementation of one hook, which may name fewer arguments than the hook has."""

    function: Callable[..., Any]
    arguments: tuple[str, ...]

    def __call__(self, **values: Any) -> Any:
        """Call it with those of the values that it names."""
        return self.function(**{name: values[name] for name in self.arguments})


class LoadedPlugin(Value, frozen=True):
    """A plugin that passed every check; `hooks` are those it implements, by name."""

    manifest: PluginManifest
    module: object
    distribution: str
    version: str
    hooks: Mapping[str, HookFunction]


class FailedPlugin(Value, frozen=True):
    """A plugin that cannot be used, and why."""

    name: str
    distribution: str
    reason: str
    version: str = ""


class PluginTable(Value, frozen=True):
    """All installed plugins; `ready` in the order of their names."""

    ready: Mapping[str, LoadedPlugin]
    failed: tuple[FailedPlugin, ...] = ()


class _Candidate(Value, frozen=True):
    name: str
    distribution: str
    version: str
    load: Callable[[], object]


def discover(
    extra: Mapping[str, object] | None = None, entries: Iterable[metadata.EntryPoint] | None = None
) -> PluginTable:
    """Load every plugin behind the entry points (or `entries`) and those handed in as `extra`, by name.

    Of two plugins of one name the one handed in wins, then Stampcard's own, then the first distribution by name.
    """
    ready: dict[str, LoadedPlugin] = {}
    failed: list[FailedPlugin] = []
    installed = metadata.entry_points(group=GROUP) if entries is None else entries
    for candidate in _candidates(extra or {}, installed):
        try:
            _check_name_is_free(candidate.name, ready)
            ready[candidate.name] = _loaded(candidate)
        except PluginError as error:
            failed.append(
                FailedPlugin(
                    name=candidate.name,
                    distribution=candidate.distribution,
                    reason=error.problem,
                    version=candidate.version,
                )
            )
    return PluginTable(ready=ready, failed=tuple(failed))


def _candidates(extra: Mapping[str, object], entries: Iterable[metadata.EntryPoint]) -> Iterator[_Candidate]:
    ranked = [
        ((name, 0, ""), _Candidate(name=name, distribution="(embedded)", version="", load=_handing_over(plugin)))
        for name, plugin in extra.items()
    ]
    for entry in entries:
        distribution = entry.dist.name if entry.dist else "(unknown)"
        version = entry.dist.version if entry.dist else ""
        candidate = _Candidate(name=entry.name, distribution=distribution, version=version, load=entry.load)
        ranked.append(((entry.name, 1 if distribution == OWN_DISTRIBUTION else 2, distribution), candidate))
    return (candidate for _, candidate in sorted(ranked, key=lambda pair: pair[0]))


def _handing_over(plugin: object) -> Callable[[], object]:
    return lambda: plugin


def _check_name_is_free(name: str, ready: Mapping[str, LoadedPlugin]) -> None:
    if name in ready:
        raise PluginError(name, f"the name is taken by the plugin of {ready[name].distribution}")


def _loaded(candidate: _Candidate) -> LoadedPlugin:
    name = candidate.name
    plugin = _guarded(name, "cannot be imported", candidate.load)
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manifest = _manifest(name, plugin, manager)
    try:
        manager.register(plugin, name)
        manager.check_pending()
    except Exception as error:  # pluggy looks at every attribute, and a stranger's attributes may do anything
        raise PluginError(name, " ".join(str(error).split())) from error
    return LoadedPlugin(
        manifest=manifest,
        module=plugin,
        distribution=candidate.distribution,
        version=candidate.version,
        hooks=_hooks(name, plugin, manager),
    )


def _guarded(name: str, doing: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except (Exception, SystemExit) as error:
        raise PluginError(name, f"{doing}: {type(error).__name__}: {error}") from error


def _manifest(name: str, plugin: object, manager: pluggy.PluginManager) -> PluginManifest:
    # Before the hooks are checked: a plugin for another API should hear that, not that its hooks are unknown.
    if manager.parse_hookimpl_opts(plugin, "plugin_manifest") is None:
        raise PluginError(name, "has no hook plugin_manifest; every plugin says who it is, marked @hookimpl")
    manifest = _guarded(name, "plugin_manifest failed", plugin.plugin_manifest)  # type: ignore[attr-defined]
    if not isinstance(manifest, PluginManifest):
        if inspect.iscoroutine(manifest):
            manifest.close()
            raise PluginError(name, "plugin_manifest must be a plain function, not async")
        raise PluginError(name, f"plugin_manifest gave a {type(manifest).__name__}, not a PluginManifest")
    problem = _unsuitable(name, manifest)
    if problem:
        raise PluginError(name, problem)
    return manifest


def _unsuitable(name: str, manifest: PluginManifest) -> str:
    if manifest.name != name:
        return f"its manifest names itself {manifest.name!r}; entry point and manifest must agree"
    if not (isinstance(manifest.settings, type) and issubclass(manifest.settings, PluginSettings)):
        return "the settings of its manifest are not a subclass of PluginSettings"
    try:
        major, minor = manifest.api_version
        fits = major == API_VERSION[0] and minor <= API_VERSION[1]
    except (TypeError, ValueError):
        return f"its api_version {manifest.api_version!r} is not (major, minor)"
    ours = ".".join(map(str, API_VERSION))
    return "" if fits else f"is made for plugin API {major}.{minor}, this Stampcard offers {ours}"


def _hooks(name: str, plugin: object, manager: pluggy.PluginManager) -> dict[str, HookFunction]:
    hooks: dict[str, HookFunction] = {}
    for caller in manager.get_hookcallers(plugin) or ():
        implementations = caller.get_hookimpls()
        if len(implementations) > 1:
            raise PluginError(name, f"implements {caller.name} more than once")
        found = implementations[0]
        if found.hookwrapper or found.wrapper:
            raise PluginError(
                name, f"{caller.name} is a wrapper; the host calls each plugin by itself, so none can wrap"
            )
        _check_colour(name, caller.name, found.function)
        hooks[caller.name] = HookFunction(function=found.function, arguments=tuple(found.argnames))
    return hooks


def _check_colour(name: str, hook: str, function: Callable[..., Any]) -> None:
    due = inspect.iscoroutinefunction(getattr(hookspecs, hook))
    if due and not inspect.iscoroutinefunction(function):
        raise PluginError(name, f"{hook} must be async def")
    if not due and (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)):
        raise PluginError(name, f"{hook} must be a plain function, not async")
