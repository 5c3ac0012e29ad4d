"""The fields that are asked for, the SKU that each set of them is billed as, and the prices.

A request is billed at the highest SKU of any field in its mask:
https://developers.google.com/maps/documentation/places/web-service/data-fields (fields by SKU),
https://developers.google.com/maps/documentation/places/web-service/usage-and-billing (masks and billing),
https://developers.google.com/maps/billing-and-pricing/pricing (prices).
"""

from enum import StrEnum

PRICED_ON = "2026-09-24"
"""The date of the price list that `Sku.dollars_per_1000` is from: US dollars, the first 100,000 of a month."""

PAGE_SIZE = 20
"""Most places of a page of results."""
MOST_RESULTS = 60
"""Most places that all pages of a Text Search return together."""


class Sku(StrEnum):
    """The SKUs that this package uses, by the names of Google's price list."""

    SEARCH_IDS = "Text Search Essentials (IDs Only)"
    SEARCH_PRO = "Text Search Pro"
    DETAILS = "Place Details Enterprise + Atmosphere"

    @property
    def dollars_per_1000(self) -> float:
        """What 1,000 requests cost at most: larger numbers are cheaper, and some of each month are free."""
        return _DOLLARS_PER_1000[self]

    @property
    def price(self) -> int:
        """Billionths of a dollar for one request, see `storage/llm_admission.py`."""
        return round(self.dollars_per_1000 * 1_000_000)

    @property
    def mask(self) -> str:
        """The field mask that is billed as this SKU."""
        return _MASKS[self]


_DOLLARS_PER_1000 = {Sku.SEARCH_IDS: 0.0, Sku.SEARCH_PRO: 32.0, Sku.DETAILS: 25.0}

_MASKS = {
    Sku.SEARCH_IDS: "places.id,nextPageToken",
    # Where an area is.
    Sku.SEARCH_PRO: "places.viewport",
    # No photos, and of reviews everything but their authors. Of the hours not `openNow`: it changes by the hour.
    Sku.DETAILS: ",".join(
        (
            "id",
            "displayName",
            "formattedAddress",
            "addressComponents",
            "businessStatus",
            "movedPlaceId",
            "internationalPhoneNumber",
            "nationalPhoneNumber",
            "websiteUri",
            "rating",
            "userRatingCount",
            "regularOpeningHours.periods",
            "regularOpeningHours.weekdayDescriptions",
            "reviews.name",
            "reviews.rating",
            "reviews.text",
            "reviews.originalText",
            "reviews.publishTime",
            "reviews.relativePublishTimeDescription",
        )
    ),
}
