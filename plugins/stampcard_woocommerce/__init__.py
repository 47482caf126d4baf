"""WooCommerce as a storefront: its webhooks and polls in, customers' balances and coupons out."""
