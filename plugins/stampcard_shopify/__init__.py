"""Shopify as a storefront: its webhooks in, customers' balances out."""
