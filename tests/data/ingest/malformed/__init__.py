"""Malformed inputs of `airmass data ingest` by kind; importing a module adds its cases to `case.CASES`."""
