"""What the tests of Stampcard and of its plugins share; nothing that serves a shop imports it."""

import sys

# Only under pytest, which the demo does without: an inherited rule that fails then shows the values it compared.
if pytest := sys.modules.get("pytest"):
    pytest.register_assert_rewrite("stampcard.testing.contract", "stampcard.testing.rules")
