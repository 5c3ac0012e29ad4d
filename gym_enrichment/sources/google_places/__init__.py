"""Places API (New) over HTTP: what is asked for, what it costs, what answers and errors look like.

https://developers.google.com/maps/documentation/places/web-service/op-overview
What must not live here: what was asked before, quotas and retries (`pipeline/places`).
"""

from gym_enrichment.sources.google_places.client import Page, PlacesClient
from gym_enrichment.sources.google_places.errors import PlacesError, PlacesErrorKind
from gym_enrichment.sources.google_places.fields import MOST_RESULTS, PRICED_ON, Sku

__all__ = ["MOST_RESULTS", "PRICED_ON", "Page", "PlacesClient", "PlacesError", "PlacesErrorKind", "Sku"]
