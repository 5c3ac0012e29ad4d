"""From bundles to enrichments: `enricher` runs many gyms at once, one module a variant says what is asked."""
