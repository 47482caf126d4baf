"""Who may call a vendor now: leases, pace, breakers."""
