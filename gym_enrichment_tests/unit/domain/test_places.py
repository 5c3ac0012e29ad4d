"""Areas, and the rectangles that they are cut into."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_enrichment.domain.places import Area, AreaError, Rectangle, parse_area


def test_an_area_is_a_name_or_a_rectangle() -> None:
    assert parse_area("  Alger   centre ") == Area("Alger centre", None)
    assert parse_area("Alger, Algérie") == Area("Alger, Algérie", None)
    assert parse_area("36.70, 2.95,36.82,3.20") == Area("36.7,2.95,36.82,3.2", Rectangle(36.7, 2.95, 36.82, 3.2))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a name or SOUTH,WEST,NORTH,EAST"),
        ("a" * 257, "1 to 256 characters"),
        ("36.7,2.95,36.82", "3 numbers; expected four"),
        ("36.7", "1 numbers; expected four"),
        ("36.82,2.95,36.7,3.2", "south must be below north"),
        ("36.7,3.2,36.82,2.95", "west below east"),
        ("36.7,2.95,96,3.2", "from -90 to 90"),
        ("nan,2.95,36.82,3.2", "south must be below north"),
        ("36.7,2.95,inf,3.2", "south must be below north"),
    ],
)
def test_what_is_no_area_is_refused_with_what_is_expected(text: str, words: str) -> None:
    with pytest.raises(AreaError, match=words):
        parse_area(text)


@given(st.floats(-89, 88), st.floats(-179, 178), st.floats(0.01, 1), st.floats(0.01, 1))
def test_quarters_cover_their_rectangle_without_a_gap(south: float, west: float, height: float, width: float) -> None:
    whole = Rectangle(south, west, south + height, west + width)
    a, b, c, d = whole.quarters()
    assert (a.south, a.west, d.north, d.east) == (whole.south, whole.west, whole.north, whole.east)
    assert a.east == b.west == c.east == d.west
    assert a.north == b.north == c.south == d.south
    assert (b.east, c.north) == (whole.east, whole.north)


def test_cutting_comes_to_an_end() -> None:
    rectangle, cuts = Rectangle(36.60, 2.90, 36.86, 3.30), 0
    while not rectangle.smallest:
        rectangle, cuts = rectangle.quarters()[3], cuts + 1
    assert cuts == 8
