"""Pure decisions: values in, values out; one concern per file, no clock, no database, no vendor."""
