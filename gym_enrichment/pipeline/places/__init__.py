"""Google Places: finding the gyms of areas, and fetching and refreshing their details."""

from datetime import timedelta

FRESH = timedelta(days=30)
"""What Google said is not asked again for so long. Its terms let coordinates be kept for 30 days, ids for ever
(https://cloud.google.com/maps-platform/terms/maps-service-terms); the rest has to be fetched anew by then."""
