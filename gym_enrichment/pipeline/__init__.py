"""The steps of the job as plain functions and classes: what assets and the CLI call. Never imports Dagster."""
