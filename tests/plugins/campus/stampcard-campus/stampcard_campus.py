"""Students by the numbers of their cards, whose last digit proves the others."""

from collections.abc import Mapping

from stampcard import plugin

DIGITS = 10


class CampusSettings(plugin.PluginSettings):
    api_url: str = "https://campus.example"  # every plugin has one; a number proves itself without a call


def is_card(number: str) -> bool:
    digits = [int(digit) for digit in number.replace(" ", "") if digit.isascii() and digit.isdecimal()]
    weighed = [digit * (2 - place % 2) for place, digit in enumerate(digits)]
    return len(digits) == DIGITS and len(number.replace(" ", "")) == DIGITS and sum(weighed) % 10 == 0


@plugin.hookimpl
def plugin_manifest() -> plugin.PluginManifest:
    return plugin.PluginManifest(name="campus", summary="Knows students by their cards", settings=CampusSettings)


@plugin.hookimpl
async def connect() -> plugin.Capabilities:
    return plugin.Capabilities()


@plugin.hookimpl
def verify_eligibility(proof: str, evidence: Mapping[str, str]) -> plugin.Eligibility | None:
    if proof != "student":
        return None
    if is_card(evidence.get("number", "")):
        return plugin.Eligibility(approved=True)
    return plugin.Eligibility(approved=False, reason="this is not the number of a student's card")
