from stampcard.domain.scopes import SCOPES, allows

MARKETING = {
    "rewards:read",
    "programs:read",
    "programs:write",
    "switches:read",
    "switches:write",
    "alerts:read",
    "reports:read",
    "marketer",
}


def test_a_scope_allows_itself_and_admin_everything() -> None:
    assert all(allows([scope], scope) and allows(["admin"], scope) for scope in SCOPES)
    assert not allows(["members:read"], "members:write")
    assert not allows([], "members:read")


def test_a_marketer_may_change_programs_switch_and_see_alerts_and_reports_and_nothing_else() -> None:
    assert {scope for scope in SCOPES if allows(["marketer"], scope)} == MARKETING
    assert not any(allows([scope], "marketer") for scope in MARKETING - {"marketer"})
