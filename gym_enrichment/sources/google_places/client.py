"""The three requests to the Places API (New) that this package makes; each is one attempt.

https://developers.google.com/maps/documentation/places/web-service/text-search,
https://developers.google.com/maps/documentation/places/web-service/place-details
The key travels in a header, never in a URL. What must not live here: retries, quotas and saving.
"""

import json
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp
from pydantic import SecretStr

from gym_enrichment.domain.places import AreaError, Rectangle
from gym_enrichment.domain.private import without_private
from gym_enrichment.domain.raw_values import PLACE_ID_LENGTH
from gym_enrichment.sources.google_places.errors import PlacesError, PlacesErrorKind, error_of
from gym_enrichment.sources.google_places.fields import PAGE_SIZE, Sku

LANGUAGE = "fr"
"""In which language names, addresses and hours are wanted. Reviews are also read in their own: `originalText`."""
_MOST_BYTES = 4 * 1024 * 1024
"""An answer is some 20 KB. What is larger is not Google's."""
_TOKEN_LENGTH = 8_192


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search: the ids of its places, and the token of the next page if there is one."""

    ids: tuple[str, ...]
    next_token: str | None


class PlacesClient:
    """Use as an asynchronous context.

    Args:
        base_url: without `/v1`.
        key: of a Google Cloud project in which Places API (New) is enabled.
        timeout_seconds: longest wait for one answer.
    """

    def __init__(self, base_url: str, key: SecretStr, timeout_seconds: float) -> None:
        self._base_url = base_url.rstrip("/")
        self._key = key
        self._timeout = timeout_seconds
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            headers={"X-Goog-Api-Key": self._key.get_secret_value()},
            trust_env=True,
            middlewares=(_once,),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def search(self, query: str, rectangle: Rectangle, page_token: str | None) -> Page:
        """The ids of places in a rectangle. All parameters of the pages of one search must be the same.

        Raises:
            PlacesError: no page.
        """
        wanted = {
            "textQuery": query,
            "languageCode": LANGUAGE,
            "pageSize": PAGE_SIZE,
            "locationRestriction": {
                "rectangle": {
                    "low": {"latitude": rectangle.south, "longitude": rectangle.west},
                    "high": {"latitude": rectangle.north, "longitude": rectangle.east},
                }
            },
        }
        answer = await self._search(Sku.SEARCH_IDS, wanted | ({"pageToken": page_token} if page_token else {}))
        token = answer.get("nextPageToken") or None
        if token is not None and not (isinstance(token, str) and len(token) <= _TOKEN_LENGTH):
            raise _broken("a nextPageToken that is none")
        return Page(tuple(_checked_id(place.get("id")) for place in _places(answer)), token)

    async def locate(self, name: str) -> Rectangle | None:
        """Where the place of that name is; None when Google knows none.

        Raises:
            PlacesError: no answer.
        """
        answer = await self._search(Sku.SEARCH_PRO, {"textQuery": name, "languageCode": LANGUAGE, "pageSize": 1})
        found = _places(answer)
        if not found:
            return None
        try:
            low, high = found[0]["viewport"]["low"], found[0]["viewport"]["high"]
            return Rectangle(
                float(low["latitude"]), float(low["longitude"]), float(high["latitude"]), float(high["longitude"])
            )
        except (KeyError, TypeError, ValueError, AreaError):
            raise _broken("a viewport that is no rectangle") from None

    async def details(self, google_id: str) -> dict[str, Any]:
        """The details of a place, without persons: `id` is the id by which Google knows it now.

        Raises:
            PlacesError: no details; of kind GONE, if Google knows no such place.
        """
        url = f"{self._base_url}/v1/places/{quote(google_id, safe='')}?languageCode={LANGUAGE}"
        answer = await self._ask("GET", url, Sku.DETAILS, None)
        _checked_id(answer.get("id"))
        details: dict[str, Any] = without_private(answer)
        return details

    async def _search(self, sku: Sku, body: dict[str, Any]) -> dict[str, Any]:
        return await self._ask("POST", f"{self._base_url}/v1/places:searchText", sku, body)

    async def _ask(self, method: str, url: str, sku: Sku, body: dict[str, Any] | None) -> dict[str, Any]:
        """Raises PlacesError, `from None`: what aiohttp's errors say is not ours."""
        assert self._session is not None
        sent: dict[str, Any] = {} if body is None else {"json": body}
        try:
            async with self._session.request(
                method,
                url,
                headers={"X-Goog-FieldMask": sku.mask},
                allow_redirects=False,
                **sent,
            ) as answer:
                status, headers, text = answer.status, answer.headers, await _read(answer)
        except TimeoutError:
            message = f"Google Places does not answer within {self._timeout:g} s"
            raise PlacesError(PlacesErrorKind.TIMEOUT, message) from None
        except aiohttp.ClientPayloadError:
            raise _broken("less than it announced") from None
        except (aiohttp.ClientError, OSError) as error:
            message = f"no connection to Google Places: {type(error).__name__}"
            raise PlacesError(PlacesErrorKind.CONNECTION, message) from None
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if status != 200:
            raise error_of(status, found, headers)
        if not isinstance(found, dict):
            raise _broken("no JSON object")
        return found


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp sends a GET again when its connection breaks: that request would be neither limited nor counted."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        raise _broken("nothing: the connection broke") from None


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    parts = bytearray()
    async for part in answer.content.iter_any():
        parts += part
        if len(parts) > _MOST_BYTES:
            raise _broken(f"more than {_MOST_BYTES:,} bytes")
    return bytes(parts)


def _places(answer: dict[str, Any]) -> list[dict[str, Any]]:
    # A search without results is answered with an empty object.
    places = answer.get("places", [])
    if not isinstance(places, list) or not all(isinstance(place, dict) for place in places):
        raise _broken("places that are no list of objects")
    return places


def _checked_id(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= PLACE_ID_LENGTH or not value.isprintable():
        raise _broken("a place without an id")
    return value


def _broken(what: str) -> PlacesError:
    return PlacesError(PlacesErrorKind.BROKEN_ANSWER, f"Google Places answers with {what}")
