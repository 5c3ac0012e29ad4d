"""The domain in plain Python: no Dagster, no database, no HTTP."""
