"""Bulk LLM enrichment of a gym directory from its customer reviews."""
