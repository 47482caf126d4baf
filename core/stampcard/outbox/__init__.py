"""The way out: state is pushed, commands are done once, retries are decided purely."""
