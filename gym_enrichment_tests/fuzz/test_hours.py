"""Opening hours: of any text a week that prints back, or a refusal; no time that does not stand in the text."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from gym_enrichment.domain.hours import (
    NOT_STATED,
    HoursError,
    Week,
    french_lines,
    osm_string,
    parse_hours,
    split_hours_text,
    stated_hours,
    translated_hours,
)

_DAYS = "Monday lundi Mo mar. sa Sun PH samedi-dimanche Mo-Fr الاثنين lunes Montag weekend daily".split()
_TIMES = (
    "6 06 6:00 06:00 6.30 22h 6h30 18h00 25:00 9:75 24:00 0:00 00:00 12 12:00 midi noon minuit midnight ٦:٠٠".split()
)
_MARKS = (
    "AM PM am p.m. - – — à to bis , : ; / | & et and du au ( ) + \n closed Fermé off 24/7 24h/24 ouvert sauf".split(" ")
)
_OTHER = [
    "ماعدا",
    "مغلق",
    "sunrise",
    "Jan",
    "week 1",
    "[1]",
    "0",
    "\u202f",
    "\u2009",
    "\u200f",
    "７",
    "²",
    "6h-",
    "e",
    "x",
]
_line = st.lists(st.sampled_from([*_DAYS, *_TIMES, *_MARKS, *_OTHER]), max_size=12).flatmap(
    lambda parts: st.sampled_from(["", " "]).map(lambda space: space.join(parts))
)
_usual = st.builds(
    "{}: {}{} {}{}{}".format,
    st.sampled_from(_DAYS),
    st.sampled_from(_TIMES),
    st.sampled_from(["", " AM", " PM", "h"]),
    st.sampled_from(["-", "–", "à", "to", "/"]),
    st.sampled_from(_TIMES),
    st.sampled_from(["", " AM", " PM", "h", ", 14:00-18:00", "; Tu off", " sauf mardi"]),
)
lines = st.lists(_line | _usual | st.text(max_size=40), max_size=4)


def check_no_time_is_invented(source: str, week: Week) -> None:
    """Each time of the week stands in the source: its hour in either clock, its minutes as they are."""
    numbers = {int(number) for number in re.findall(r"\d+", source)}  # int() reads the digits of every script
    words = {0: r"minuit|midnight|24|00?", 12: r"midi|noon|12"}
    for day in week.days:
        for opening in day or ():
            if opening.is_whole_day and re.search(r"24|٢٤", source):
                continue
            for minute in (opening.start % 1440, opening.end % 1440):
                hour, minutes = divmod(minute, 60)
                halves = {hour, (hour + 12) % 24, 24 if hour == 0 else hour}
                assert numbers & halves or re.search(words.get(hour, "(?!)"), source, re.IGNORECASE), (hour, source)
                assert minutes == 0 or any(number % 100 == minutes for number in numbers), (minutes, source)


@given(lines)
@example(["Mo-Fr 06:00-22:00; Sa off"])
@example(["lundi: 6 h à minuit"])
def test_any_lines_are_a_week_that_prints_back_or_refused(found: list[str]) -> None:
    try:
        week = parse_hours(found)
    except HoursError:
        assert stated_hours(found) is None or not any(line.strip() for line in found)
        return
    check_no_time_is_invented("\n".join(found), week)
    if not week.is_unknown:
        assert parse_hours([osm_string(week)]) == week
    assert parse_hours(french_lines(week)) == week
    stated = stated_hours(found)
    assert stated is not None
    assert stated.status == ("not_stated" if week.is_unknown else "parsed")
    if stated.status == "parsed":
        assert parse_hours(split_hours_text(stated.french)) == week


@given(lines, _line | _usual | st.just("lundi: 06:00 – 22:00; mardi: Fermé") | st.text(max_size=40))
@example(["du lundi au vendredi sur rendez-vous de 6h à 22h"], "lundi: 06:00 – 22:00")
def test_an_answer_never_adds_a_time(found: list[str], answer: str) -> None:
    stated = translated_hours(found, answer)
    assert stated.status in {"verified", "unverified"}
    if stated.status == "unverified":
        assert (stated.french, stated.sentence, stated.osm) == (NOT_STATED, None, None)
        assert stated.reason
    else:
        check_no_time_is_invented("\n".join(found), parse_hours(split_hours_text(stated.french)))


@given(st.text(max_size=80))
def test_cutting_into_lines_keeps_every_word(text: str) -> None:
    assert "".join(re.findall(r"\w", "".join(split_hours_text(text)))) == "".join(re.findall(r"\w", text))
