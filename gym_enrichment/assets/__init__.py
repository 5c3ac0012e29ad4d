"""The assets: thin sentences over `pipeline/`, one module a step of the data's way."""
