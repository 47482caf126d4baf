"""The way in: batching, preparing, working, fetching, timing."""
