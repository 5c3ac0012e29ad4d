"""A real HTTP server that behaves like the Places API (New), and misbehaves on request.

Field masks, paging, limits and error bodies are as Google documents them (the pages are named in
gym_enrichment/sources/google_places). What must not live here: anything of the package that is tested.
"""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from gym_enrichment_tests.loopback import LoopbackServer

KEY = "AIzaSy-test-5f81c2"
AUTHOR = "Karim B. Secret-Author"
ALGER = {"low": {"latitude": 36.60, "longitude": 2.90}, "high": {"latitude": 36.86, "longitude": 3.30}}
PAGE, MOST = 20, 60

Fault = Literal["rate_limited", "server_error", "timeout", "broken", "disconnect", "daily_quota", "no_body"]
FAULTS: tuple[Fault, ...] = ("rate_limited", "server_error", "timeout", "broken", "disconnect")

_TOP_LEVEL = {
    "id",
    "name",
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
    "regularOpeningHours",
    "reviews",
    "photos",
    "location",
    "viewport",
}


@dataclass(frozen=True)
class Asked:
    """One request: what for (an id, or the text of a search), its mask, how it ended, and when (a monotonic clock)."""

    what: str
    mask: str
    outcome: str
    at: float

    @property
    def is_details(self) -> bool:
        return not self.mask.startswith("places.")


@dataclass
class World:
    """What Google knows.

    Args:
        places: id to latitude and longitude.
        vanished: ids that Google knows no more.
        renamed: old id to the id that it answers with.
        relocated: closed for ever, and which place follows.
        malformed: ids whose details are not what Google documents.
    """

    places: dict[str, tuple[float, float]]
    vanished: set[str] = field(default_factory=set)
    renamed: dict[str, str] = field(default_factory=dict)
    relocated: dict[str, str] = field(default_factory=dict)
    malformed: set[str] = field(default_factory=set)


def crowded_world(count: int = 500) -> World:
    """Gyms all over Alger, half of them in its centre, so that the centre must be cut several times."""
    draw = random.Random(7)
    places = {}
    for number in range(count):
        spread = 0.02 if number % 2 else 0.12
        latitude = min(36.859, max(36.601, draw.gauss(36.75, spread)))
        longitude = min(3.299, max(2.901, draw.gauss(3.06, spread)))
        places[place_id(number)] = (latitude, longitude)
    return World(places)


def place_id(number: int) -> str:
    return f"ChIJtest_{number:018d}"


def details_of(key: str, world: World) -> dict[str, Any]:
    latitude, longitude = world.places[key]
    number = int(key[-18:])
    closed = key in world.relocated
    return {
        "id": key,
        "name": f"places/{key}",
        "displayName": {"text": f"Salle {number}", "languageCode": "fr"},
        "formattedAddress": f"{number} rue Didouche Mourad, Alger, Algérie",
        "addressComponents": [
            {"longText": "Alger", "shortText": "Alger", "types": ["locality", "political"]},
            {"longText": "Algérie", "shortText": "DZ", "types": ["country", "political"]},
        ],
        "businessStatus": "CLOSED_PERMANENTLY" if closed else "OPERATIONAL",
        **({"movedPlaceId": world.relocated[key]} if closed else {}),
        "internationalPhoneNumber": "+213 21 00 00 00",
        "websiteUri": f"https://salle-{number}.example/",
        "rating": "excellent" if key in world.malformed else 4.2,
        "userRatingCount": number,
        "regularOpeningHours": {
            "openNow": True,
            "weekdayDescriptions": ["lundi: 06:00 – 22:00", "mardi: 06:00 – 22:00"],
        },
        "location": {"latitude": latitude, "longitude": longitude},
        "reviews": [
            {
                "name": f"places/{key}/reviews/{review}",
                "rating": 5,
                "text": {"text": f"Salle {number}, avis {review} : musculation.", "languageCode": "fr"},
                "originalText": {"text": f"Salle {number}, avis {review} : musculation.", "languageCode": "fr"},
                "publishTime": "2026-01-02T03:04:05Z",
                "relativePublishTimeDescription": "il y a 2 mois",
                "authorAttribution": {"displayName": AUTHOR, "uri": "https://www.google.com/maps/contrib/1"},
            }
            for review in range(2)
        ],
        "photos": [{"name": f"places/{key}/photos/1", "authorAttributions": [{"displayName": AUTHOR}]}],
    }


class PlacesServer(LoopbackServer):
    """Use as a context; `url` is what GYM_PLACES_URL wants.

    `fault` is asked about every request: what it is for, and how often that was asked for before.
    """

    def __init__(self, world: World, fault: Callable[[str, int], Fault | None] = lambda _what, _before: None) -> None:
        super().__init__()
        self.world = world
        self.fault = fault
        self.asked: list[Asked] = []
        self.retry_after = "0"
        self.token_lives = True
        self.most_at_once = 0
        self.url = ""
        self._at_once = 0
        self._closing = asyncio.Event()
        self._before: Counter[str] = Counter()
        self._tokens: dict[str, tuple[dict[str, Any], int]] = {}

    def started(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def app(self) -> web.Application:
        app = web.Application()
        app.on_shutdown.append(self._let_go)
        app.router.add_post("/v1/places:searchText", self._search)
        app.router.add_get("/v1/places/{id}", self._details)
        return app

    async def _let_go(self, _app: web.Application) -> None:
        self._closing.set()

    def good_details(self) -> Counter[str]:
        """How often the details of each place were given in full."""
        return Counter(asked.what for asked in self.asked if asked.is_details and asked.outcome == "ok")

    def forget(self) -> None:
        """Begin to count anew."""
        self.asked.clear()
        self._before.clear()

    async def _search(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        what = f"{body.get('textQuery')} {body.get('locationRestriction')} {body.get('pageToken')}"
        return await self._answer(request, what, lambda mask: self._searched(body, mask))

    async def _details(self, request: web.Request) -> web.StreamResponse:
        key = request.match_info["id"]
        assert request.query.get("languageCode") == "fr"
        return await self._answer(request, key, lambda mask: self._detailed(key, mask))

    async def _answer(
        self, request: web.Request, what: str, answer: Callable[[str], tuple[int, dict[str, Any]]]
    ) -> web.StreamResponse:
        mask = request.headers.get("X-Goog-FieldMask", "")
        before = self._before[what]
        self._before[what] += 1
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            status, body = self._refusal(request, mask) or answer(mask)
            fault = self.fault(what, before) if status == 200 else None
            self.asked.append(Asked(what, mask, fault or ("ok" if status == 200 else str(status)), time.monotonic()))
            if fault:
                return await self._misbehave(request, fault, body)
            return web.json_response(body, status=status)
        finally:
            self._at_once -= 1

    async def _misbehave(self, request: web.Request, fault: Fault, body: dict[str, Any]) -> web.StreamResponse:
        if fault == "rate_limited":
            words = "Quota exceeded for quota metric 'GetPlaceRequest' and limit 'GetPlaceRequest per minute'"
            return _error(429, "RESOURCE_EXHAUSTED", words, headers={"Retry-After": self.retry_after})
        if fault == "daily_quota":
            words = "Quota exceeded for quota metric 'GetPlaceRequest' and limit 'GetPlaceRequest per day'"
            return _error(429, "RESOURCE_EXHAUSTED", words)
        if fault == "server_error":
            return _error(503, "UNAVAILABLE", "The service is currently unavailable.")
        if fault == "broken":
            return web.Response(text=json.dumps(body)[:-20], content_type="application/json")
        if fault == "no_body":
            return web.Response(status=404, text="<html>nothing here</html>", content_type="text/html")
        if fault == "disconnect":
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        await self._closing.wait()
        return web.Response()

    def _refusal(self, request: web.Request, mask: str) -> tuple[int, dict[str, Any]] | None:
        assert KEY not in str(request.url), "the key is in the URL"
        key = request.headers.get("X-Goog-Api-Key")
        if key is None:
            return _problem(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers")
        if key != KEY:
            return _problem(400, "INVALID_ARGUMENT", f"API key {key} not valid. Please pass a valid API key.")
        if not mask:
            return _problem(400, "INVALID_ARGUMENT", "FieldMask is a required parameter.")
        return None

    def _searched(self, body: Mapping[str, Any], mask: str) -> tuple[int, dict[str, Any]]:
        for path in mask.split(","):
            top = path.removeprefix("places.").split(".")[0]
            if path != "nextPageToken" and (not path.startswith("places.") or top not in _TOP_LEVEL):
                return _problem(400, "INVALID_ARGUMENT", f"Cannot find matching fields for path '{path}'.")
        if "locationRestriction" not in body:
            located = [{"viewport": ALGER, "id": "ChIJalger"}] if body["textQuery"] == "Alger" else []
            return 200, _masked({"places": located}, mask)
        return self._page(dict(body), mask)

    def _page(self, body: dict[str, Any], mask: str) -> tuple[int, dict[str, Any]]:
        token = body.pop("pageToken", None)
        start = 0
        if token is not None:
            query, start = self._tokens.get(token, ({}, 0))
            if query != body or not self.token_lives:
                self.token_lives = True
                return _problem(400, "INVALID_ARGUMENT", "Invalid page token.")
        low, high = (body["locationRestriction"]["rectangle"][corner] for corner in ("low", "high"))
        inside = [
            key
            for key, (latitude, longitude) in self.world.places.items()
            if low["latitude"] <= latitude <= high["latitude"] and low["longitude"] <= longitude <= high["longitude"]
        ][:MOST]
        end = start + min(body.get("pageSize", PAGE), PAGE)
        answer: dict[str, Any] = {"places": [details_of(key, self.world) for key in inside[start:end]]}
        if end < len(inside):
            answer["nextPageToken"] = f"token-{len(self._tokens)}"
            self._tokens[answer["nextPageToken"]] = (body, end)
        return 200, _masked(answer, mask)

    def _detailed(self, key: str, mask: str) -> tuple[int, dict[str, Any]]:
        for path in mask.split(","):
            if path.split(".")[0] not in _TOP_LEVEL:
                return _problem(400, "INVALID_ARGUMENT", f"Cannot find matching fields for path '{path}'.")
        now = self.world.renamed.get(key, key)
        if now in self.world.vanished:
            return _problem(404, "NOT_FOUND", "The Place ID is no longer valid.")
        if now not in self.world.places:
            return _problem(400, "INVALID_ARGUMENT", f"Not a valid Place ID: {key}")
        return 200, _masked(details_of(now, self.world), mask)


def _masked(value: dict[str, Any], mask: str) -> dict[str, Any]:
    """What a field mask leaves of an answer; empty fields are left out, as Google does."""
    paths: dict[str, list[str]] = {}
    for path in mask.split(","):
        first, _, rest = path.partition(".")
        paths.setdefault(first, []).append(rest)
    found = {}
    for name, rests in paths.items():
        if not value.get(name):
            continue
        inner = ",".join(rests) if all(rests) else ""
        found[name] = _inside(value[name], inner) if inner else value[name]
    return found


def _inside(value: Any, mask: str) -> Any:
    return [_masked(item, mask) for item in value] if isinstance(value, list) else _masked(value, mask)


def _problem(code: int, status: str, message: str) -> tuple[int, dict[str, Any]]:
    reason = [{"reason": "API_KEY_INVALID"}] if message.startswith("API key") else []
    return code, {"error": {"code": code, "message": message, "status": status, "details": reason}}


def _error(code: int, status: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response(_problem(code, status, message)[1], status=code, headers=headers)
