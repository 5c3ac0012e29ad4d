"""Areas in which gyms are looked for, and the rectangles that they are cut into.

What must not live here: asking Google (`sources/google_places`).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

NAME_LENGTH = 256
"""Longest name of an area."""
_LEAST_DEGREES = 0.002
"""A rectangle of some 200 m is not cut any further: a street with more gyms than a search returns does not exist."""


class AreaError(ValueError):
    """What was written is no area; the message says what is expected."""


class PlaceState(StrEnum):
    """What is known of a place at Google."""

    FOUND = "found"
    """A search returned its id; its details were not asked for yet."""
    ANSWERED = "answered"
    """Its details are here and paid for, and not ingested yet."""
    CURRENT = "current"
    """Its details are ingested."""
    FAILED = "failed"
    """Google did not answer usefully; asked again by the next refresh."""
    SET_ASIDE = "set_aside"
    """Google's answer cannot be used; asked again when it would be stale."""
    GONE = "gone"
    """Closed for ever, unknown to Google by now, or another place's second id. Asked again if a search returns it."""


class TileState(StrEnum):
    """What became of the search in one rectangle of an area."""

    OPEN = "open"
    """Not searched to its end."""
    DONE = "done"
    SPLIT = "split"
    """It returned as many places as a search can return: its quarters are searched instead."""
    FULL = "full"
    """As SPLIT, but too small to be cut: there may be more places than were found."""
    FAILED = "failed"
    """Could not be searched; the next discovery tries again."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Latitudes from south to north and longitudes from west to east, in degrees; none crosses the 180th meridian."""

    south: float
    west: float
    north: float
    east: float

    def __post_init__(self) -> None:
        if not (-90 <= self.south < self.north <= 90 and -180 <= self.west < self.east <= 180):
            raise AreaError("south must be below north (from -90 to 90), and west below east (from -180 to 180)")

    @property
    def smallest(self) -> bool:
        """Whether it is too small to be cut."""
        return max(self.north - self.south, self.east - self.west) < _LEAST_DEGREES

    def quarters(self) -> tuple[Self, Self, Self, Self]:
        """Its four quarters: south-west, south-east, north-west, north-east."""
        middle, centre = (self.south + self.north) / 2, (self.west + self.east) / 2
        build = type(self)
        return (
            build(self.south, self.west, middle, centre),
            build(self.south, centre, middle, self.east),
            build(middle, self.west, self.north, centre),
            build(middle, centre, self.north, self.east),
        )


@dataclass(frozen=True, slots=True)
class Area:
    """Where to look for gyms: a name that Google is asked to locate, or a rectangle."""

    name: str
    rectangle: Rectangle | None


def parse_area(text: str) -> Area:
    """`Alger`, or `36.70,2.95,36.82,3.20` (south,west,north,east in degrees).

    Raises:
        AreaError: empty, too long, or numbers that are no rectangle.
    """
    name = " ".join(text.split())
    if not name or len(name) > NAME_LENGTH or not name.isprintable():
        raise AreaError(f"an area is a name or SOUTH,WEST,NORTH,EAST of 1 to {NAME_LENGTH} characters")
    try:
        numbers = [float(part) for part in name.split(",")]
    except ValueError:
        return Area(name, None)
    if len(numbers) != 4:
        raise AreaError(f"{name!r}: {len(numbers)} numbers; expected four: SOUTH,WEST,NORTH,EAST in degrees")
    try:
        return Area(",".join(f"{number:g}" for number in numbers), Rectangle(*numbers))
    except AreaError as error:
        raise AreaError(f"{name!r}: {error}") from None
