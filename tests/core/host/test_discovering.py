import sys
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stampcard.host.discovering import GROUP, PluginTable, discover
from stampcard.plugin import API_VERSION, Capabilities, ConnectionContext, PluginManifest, PluginSettings, hookimpl


def plugin(name: str = "good", version: tuple[int, int] = API_VERSION, **hooks: Callable[..., Any]) -> ModuleType:
    """A plugin module made of the hooks given; it names itself `name`."""
    module = ModuleType(f"sample_{name}")

    def plugin_manifest() -> PluginManifest:
        return PluginManifest(name=name, summary="a sample", settings=PluginSettings, api_version=version)

    for hook, function in {"plugin_manifest": plugin_manifest, **hooks}.items():
        setattr(module, hook, hookimpl(function))
    return module


async def connect(context: ConnectionContext[Any]) -> Capabilities:
    return Capabilities()


def reason(table: PluginTable) -> str:
    assert not table.ready
    (failed,) = table.failed
    return failed.reason


def found(**plugins: object) -> PluginTable:
    return discover(plugins, entries=())


def test_a_sound_plugin_is_ready_with_the_hooks_it_implements() -> None:
    table = found(good=plugin(connect=connect))
    assert not table.failed
    assert set(table.ready["good"].hooks) == {"plugin_manifest", "connect"}


def test_plugins_are_ready_in_the_order_of_their_names() -> None:
    table = found(**{name: plugin(name) for name in ("pear", "apple", "fig")})
    assert list(table.ready) == ["apple", "fig", "pear"]


def test_an_object_with_methods_is_a_plugin_too() -> None:
    class Sample:
        @hookimpl
        def plugin_manifest(self) -> PluginManifest:
            return PluginManifest(name="good", summary="an object", settings=PluginSettings)

        @hookimpl
        async def connect(self) -> Capabilities:
            return Capabilities()

    assert set(found(good=Sample()).ready["good"].hooks) == {"plugin_manifest", "connect"}


def test_a_hook_may_name_fewer_arguments_than_it_could() -> None:
    def award_adjustments(award: Any) -> Iterable[Any]:
        return [award]

    hook = found(good=plugin(award_adjustments=award_adjustments)).ready["good"].hooks["award_adjustments"]
    assert hook(event=1, member=2, award=3, facts={}) == [3]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_plugin_that_cannot_be_imported_fails_and_the_others_work(
    source: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sample_broken_import.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sample_broken_import", raising=False)
    entry = EntryPoint(name="broken", value="sample_broken_import", group=GROUP)
    table = discover({"good": plugin()}, entries=[entry])
    assert list(table.ready) == ["good"]
    (failed,) = table.failed
    assert failed.name == "broken"
    assert failed.reason.startswith(f"cannot be imported: {expected}")


@pytest.mark.parametrize("version", [(API_VERSION[0] + 1, 0), (API_VERSION[0], API_VERSION[1] + 1)])
def test_a_plugin_for_another_major_or_a_newer_minor_is_told_so(version: tuple[int, int]) -> None:
    async def hook_of_the_future(context: Any) -> None: ...

    table = found(good=plugin(version=version, hook_of_the_future=hook_of_the_future))
    assert reason(table).startswith(f"is made for plugin API {version[0]}.{version[1]}, this Stampcard offers")


def test_a_version_that_is_no_pair_is_told_so() -> None:
    assert "is not (major, minor)" in reason(found(good=plugin(version="1.0.0")))  # type: ignore[arg-type]


def test_a_misspelt_hook_is_named() -> None:
    async def event_comitted(change: Any) -> None: ...

    assert "unknown hook 'event_comitted'" in reason(found(good=plugin(event_comitted=event_comitted)))


def test_an_argument_that_a_hook_does_not_have_is_named() -> None:
    async def event_committed(change: Any, weather: Any) -> None: ...

    assert "weather" in reason(found(good=plugin(event_committed=event_committed)))


def test_a_plain_function_where_async_is_due_is_refused() -> None:
    def connect(context: Any) -> Capabilities:
        return Capabilities()

    assert reason(found(good=plugin(connect=connect))) == "connect must be async def"


def test_an_async_function_where_a_plain_one_is_due_is_refused() -> None:
    async def award_adjustments(event: Any) -> list[Any]:
        return []

    table = found(good=plugin(award_adjustments=award_adjustments))
    assert reason(table) == "award_adjustments must be a plain function, not async"


def test_an_async_manifest_is_refused_without_a_warning() -> None:
    async def plugin_manifest() -> None: ...

    assert "must be a plain function" in reason(found(good=plugin(plugin_manifest=plugin_manifest)))


def test_a_plugin_whose_manifest_has_another_name_is_refused() -> None:
    assert "names itself 'other'" in reason(found(good=plugin("other")))


def test_a_plugin_without_a_manifest_is_refused() -> None:
    assert reason(found(good=ModuleType("empty"))).startswith("has no hook plugin_manifest")


def test_a_manifest_that_fails_or_is_something_else_is_refused() -> None:
    def failing() -> PluginManifest:
        message = "no idea"
        raise LookupError(message)

    assert reason(found(good=plugin(plugin_manifest=failing))) == "plugin_manifest failed: LookupError: no idea"

    def answering() -> str:
        return "good"

    assert "gave a str" in reason(found(good=plugin(plugin_manifest=answering)))


def test_settings_that_are_no_model_of_ours_are_refused() -> None:
    def plugin_manifest() -> PluginManifest:
        return PluginManifest(name="good", summary="", settings=dict)  # type: ignore[arg-type]

    assert "not a subclass of PluginSettings" in reason(found(good=plugin(plugin_manifest=plugin_manifest)))


def test_a_hook_implemented_twice_is_refused() -> None:
    module = plugin(connect=connect)

    async def another(context: Any) -> Capabilities:
        return Capabilities()

    module.another = hookimpl(another, specname="connect")  # type: ignore[attr-defined]
    assert reason(found(good=module)) == "implements connect more than once"


def test_a_wrapper_is_refused() -> None:
    module = plugin()

    def award_adjustments() -> Any:
        return (yield)

    module.award_adjustments = hookimpl(award_adjustments, wrapper=True)  # type: ignore[attr-defined]
    assert "wrapper" in reason(found(good=module))


def test_a_plugin_that_explodes_when_looked_at_fails_alone() -> None:
    class Trap:
        @hookimpl
        def plugin_manifest(self) -> PluginManifest:
            return PluginManifest(name="trap", summary="", settings=PluginSettings)

        def __dir__(self) -> list[str]:
            message = "boom"
            raise RuntimeError(message)

    table = found(trap=Trap(), good=plugin())
    assert list(table.ready) == ["good"]
    assert table.failed[0].reason == "boom"


def test_of_two_plugins_of_one_name_the_one_handed_in_wins_and_the_other_is_listed() -> None:
    entry = EntryPoint(name="good", value="json", group=GROUP)
    table = discover({"good": plugin()}, entries=[entry])
    assert table.ready["good"].distribution == "(embedded)"
    assert table.failed[0].reason == "the name is taken by the plugin of (embedded)"
