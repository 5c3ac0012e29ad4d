"""The LLM gateway: everything between a rendered prompt and a checked answer. Knows nothing of Dagster."""
