"""What hostile or careless sources hold, as hypothesis strategies.

What must not live here: what must be true of the results.
"""

from datetime import date, datetime
from typing import Any

from hypothesis import strategies as st

ODD_CHARACTERS = st.sampled_from("\x00\t\n\r\"',;=\\{}[]\ufeff\ud800\u202e\u2028é💪٣0")
texts = st.text(st.one_of(ODD_CHARACTERS, st.characters()), max_size=40)
plain_texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=40)

numbers = st.one_of(
    st.integers(-(10**20), 10**20),
    st.integers(0, 5),
    st.floats(),
    st.sampled_from([10**400, 1e308, -0.0, 1_700_000_000, 1_700_000_000_000]),
)
dates = st.one_of(
    st.datetimes().map(datetime.isoformat),
    st.dates().map(date.isoformat),
    st.from_regex(r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}([T ][0-9:.]{0,9}(Z|[+-][0-9:]{1,6})?)?", fullmatch=True),
    st.sampled_from(["il y a 2 semaines", "3 months ago", "hier", "2024-02-30", "24:00", "20240229", "٢٠٢٤-٠١-٠١"]),
)
hours = st.one_of(
    st.lists(texts | st.sampled_from(["lundi: 6:00 – 22:00", "Monday: Closed"]), max_size=4),
    st.sampled_from(
        ["lundi: 6h-22h; mardi: fermé", '["lundi: 6h"]', "['lundi: 6h']", '{"lundi": "6h"}', "null", "[" * 99]
    ),
    st.dictionaries(texts, texts, max_size=3),
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | texts | dates | hours,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def rows(columns: tuple[str, ...], **likely: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Rows with some of these columns, each with a likely or any value, and columns that nobody knows."""
    known = st.fixed_dictionaries({}, optional={name: likely.get(name, texts) | json_values for name in columns})
    other = st.dictionaries(texts, json_values, max_size=2)
    return st.builds(lambda first, second: {**second, **first}, known, other)
