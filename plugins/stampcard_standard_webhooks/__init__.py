"""Tells a merchant's own systems what changes, as webhooks by the Standard Webhooks specification."""
