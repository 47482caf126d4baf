"""The command line: one module per command or noun, each importing what it needs only when it runs."""
