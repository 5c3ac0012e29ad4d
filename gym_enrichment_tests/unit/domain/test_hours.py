"""Opening hours: read from what sources write, printed in French and OSM, never made up."""

import json
import os
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import opening_hours
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_enrichment.domain.hours import (
    MAX_CHARACTERS,
    MAX_LINES,
    Day,
    HoursError,
    Interval,
    Week,
    french_lines,
    french_sentence,
    osm_string,
    parse_hours,
    split_hours_text,
)
from gym_enrichment_tests.costs import bounded_cost

REPOSITORY = Path(__file__).parents[3]
REAL_DATA = Path(os.environ.get("GYM_REAL_DATA", REPOSITORY.parent / "shared" / "data"))
ALL_DAYS = range(7)


def week(default: Day = None, **days: Day) -> Week:
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    assert set(days) <= set(names)
    return Week(tuple(days.get(name, default) for name in names))


def hours(*times: str) -> tuple[Interval, ...]:
    """`hours("6:00-22:00")`, minutes counted by hand here so that the parser is not its own judge."""
    found = []
    for pair in times:
        start, end = (int(h) * 60 + int(m) for h, m in (side.split(":") for side in pair.split("-")))
        found.append(Interval(start, end))
    return tuple(found)


def real_rows(name: str) -> list[dict[str, Any]]:
    path = REAL_DATA / name
    if not path.exists():
        pytest.skip(f"no real data at {path}: set GYM_REAL_DATA")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@st.composite
def day_hours(draw: st.DrawFn) -> tuple[Interval, ...]:
    shape = draw(st.sampled_from(["closed", "whole day", "times"]))
    if shape != "times":
        return () if shape == "closed" else (Interval(0, 1440),)
    cuts = sorted(draw(st.lists(st.integers(0, 1439), min_size=2, max_size=8, unique=True)))
    if len(cuts) % 2:
        cuts.pop()
    openings = [Interval(start, end) for start, end in zip(cuts[::2], cuts[1::2], strict=True)]
    if draw(st.booleans()):  # the last one closes at midnight or after
        last = openings.pop()
        openings.append(Interval(last.start, draw(st.integers(1440, last.start + 1439)) if last.start else 1439))
    return tuple(openings)


known_weeks = st.lists(day_hours(), min_size=7, max_size=7).map(lambda days: Week(tuple(days)))
weeks = st.lists(st.none() | day_hours(), min_size=7, max_size=7).map(lambda days: Week(tuple(days)))

FRAGMENTS = (
    *(
        "Monday",
        "lundi",
        "Mo",
        "mar.",
        "sa",
        "Sun",
        "PH",
        "Closed",
        "Fermé",
        "off",
        "24/7",
        "24h/24",
        "7j/7",
        "6",
        "6:00",
    ),
    *(
        "06:00",
        "22h",
        "6h30",
        "25:00",
        "9:75",
        "24:00",
        "AM",
        "PM",
        "a.m.",
        "noon",
        "midi",
        "minuit",
        "–",
        "-",
        "à",
        "to",
    ),
    *(
        ",",
        ":",
        ";",
        "/",
        "&",
        "et",
        "du",
        "au",
        "open",
        "ouvert",
        "every day",
        "Jan",
        "week",
        "sunrise",
        "[1]",
        '"',
        "+",
    ),
    *("||", "\n", "\u202f", "\u2009", "(", "0"),
)
hour_like_text = st.lists(st.sampled_from(FRAGMENTS), max_size=14).flatmap(
    lambda parts: st.sampled_from(["", " "]).map(lambda space: space.join(parts))
)


class TestReading:
    @pytest.mark.parametrize(
        ("line", "times"),
        [
            ("Friday: 6:00\u202fAM\u2009–\u200910:00\u202fPM", ["6:00-22:00"]),
            ("Friday: 6:00\u202fAM\u2009\u200910:00\u202fPM", ["6:00-22:00"]),
            ("vendredi: 06:00\u2009–\u200922:00", ["6:00-22:00"]),
            ("Friday: 3:00 – 9:00 PM", ["15:00-21:00"]),
            ("Friday: 12:00 – 8:00 PM", ["12:00-20:00"]),
            ("Friday: 11:00 – 2:00 PM", ["11:00-14:00"]),
            ("Friday: 10:00 – 2:00 AM", ["22:00-26:00"]),
            ("Friday: 8:00 – 12:00 AM", ["20:00-24:00"]),
            ("Friday: 7:00 PM – 2:00", ["19:00-26:00"]),
            ("Friday: 9:00 AM – 5:00", ["9:00-17:00"]),
            ("Friday: 6:00 AM – 22:00", ["6:00-22:00"]),
            ("Friday: 5–10 AM, 3–7:30 PM", ["5:00-10:00", "15:00-19:30"]),
            ("Friday: 7:00 AM – 1:00 PM, 7:00 PM – 12:00 AM", ["7:00-13:00", "19:00-24:00"]),
            ("Friday: 3:00 – 8:00 PM, 6:00 – 9:00 AM", ["6:00-9:00", "15:00-20:00"]),
            ("Friday: 12 AM–10 PM", ["0:00-22:00"]),
            ("Friday: 6:00 a.m. – 10:00 p.m.", ["6:00-22:00"]),
            ("vendredi: 22:00 – 02:00", ["22:00-26:00"]),
            ("vendredi: 06:00-24:00", ["6:00-24:00"]),
            ("ven. 06h00 à 22h", ["6:00-22:00"]),
            ("ven 6 h 30 – 22 h", ["6:30-22:00"]),
            ("le vendredi de 6 heures à 22 heures", ["6:00-22:00"]),
            ("Fri 6am-10pm", ["6:00-22:00"]),
            ("Fri: noon to midnight", ["12:00-24:00"]),
            ("vendredi: midi – minuit", ["12:00-24:00"]),
            ("vendredi: 8h-12h et 14h-18h", ["8:00-12:00", "14:00-18:00"]),
            ("Friday6:00 AM–10:00 PM", ["6:00-22:00"]),
            ("Friday, 6:00 AM – 10:00 PM", ["6:00-22:00"]),
            ("FRIDAY\t6:00 am\t10:00 pm", ["6:00-22:00"]),
            ("Friday: 6 - 22", ["6:00-22:00"]),
            ("Fr 22:00-26:00", ["22:00-26:00"]),
            ("Fri 6.30am - 9.30pm", ["6:30-21:30"]),
            ("Fri 06.30 - 21.30", ["6:30-21:30"]),
            ("viernes de 9:00 a 14:00 y de 17:00 a 22:00", ["9:00-14:00", "17:00-22:00"]),
            ("vie: 6:00 a. m. – 10:00 p. m.", ["6:00-22:00"]),
            ("los viernes de 7 a 22 hs", ["7:00-22:00"]),
            ("الجمعة: 6:00 ص – 10:00 م", ["6:00-22:00"]),
            ("يوم الجمعة من ٨:٠٠ إلى ٢٢:٠٠", ["8:00-22:00"]),
        ],
    )
    def test_times_are_read_as_written(self, line: str, times: list[str]) -> None:
        assert parse_hours([line]) == week(fri=hours(*times))

    @pytest.mark.parametrize("dash", "-‐‑‒–—―−~～")
    def test_any_dash_separates_two_times(self, dash: str) -> None:
        assert parse_hours([f"lundi: 06:00{dash}22:00"]) == week(mon=hours("6:00-22:00"))

    @pytest.mark.parametrize(
        "text", ["Closed", "closed", "CLOSED", "Fermé", "FERMÉ", "ferme\u0301", "fermée", "off", "Cerrado", "مغلق"]
    )
    def test_closed_in_each_language(self, text: str) -> None:
        assert parse_hours([f"lundi: {text}", f"Tuesday {text}"]) == week(mon=(), tue=())

    def test_closed_fused_to_its_day(self) -> None:
        assert parse_hours(["MondayClosed", "mardiFermé"]) == week(mon=(), tue=())

    @pytest.mark.parametrize(
        "text",
        [
            "Open 24 hours",
            "Ouvert 24h/24",
            "24/7",
            "24 h/24",
            "24/24",
            "24 heures sur 24",
            "00:00-24:00",
            "Abierto 24 horas",
            "مفتوح 24 ساعة",
        ],
    )
    def test_a_whole_day_in_each_language(self, text: str) -> None:
        assert parse_hours([f"Monday: {text}"]) == week(mon=hours("0:00-24:00"))

    @pytest.mark.parametrize("text", ["24/7", "Open 24/7", "24h/24 7j/7", "Ouvert 24h/24, 7j/7", "7j/7 24h/24"])
    def test_a_whole_week_needs_no_day(self, text: str) -> None:
        assert parse_hours([text]) == week(hours("0:00-24:00"))

    @pytest.mark.parametrize(
        ("days", "numbers"),
        [
            ("Monday–Friday", range(5)),
            ("Monday to Friday", range(5)),
            ("lundi-vendredi", range(5)),
            ("du lundi au vendredi", range(5)),
            ("Mon - Wed, Sat", (0, 1, 2, 5)),
            ("Sat & Sun", (5, 6)),
            ("samedi, dimanche", (5, 6)),
            ("samedi et dimanche", (5, 6)),
            ("Fri-Mon", (4, 5, 6, 0)),
            ("Sundays", (6,)),
            ("Every day", ALL_DAYS),
            ("tous les jours", ALL_DAYS),
            ("de lunes a viernes", range(5)),
            ("Lun-Vie", range(5)),
            ("sábados y domingos", (5, 6)),
            ("todos los días", ALL_DAYS),
            ("من الأحد إلى الخميس", (6, 0, 1, 2, 3)),
            ("السبت والأحد", (5, 6)),
            ("كل يوم", ALL_DAYS),
        ],
    )
    def test_joined_days(self, days: str, numbers: range | tuple[int, ...]) -> None:
        expected = Week(tuple(hours("6:00-22:00") if day in numbers else None for day in ALL_DAYS))
        assert parse_hours([f"{days}: 06:00 – 22:00"]) == expected

    def test_every_day_name_and_abbreviation_is_its_own_day(self) -> None:
        names = (
            "Monday lundi Mon lun. Mo|Tuesday mardi Tue mar. Tu|Wednesday mercredi Wed mer. We"
            "|Thursday jeudi Thu jeu. Th|Friday vendredi Fri ven. Fr|Saturday samedi Sat sam. Sa"
            "|Sunday dimanche Sun dim. Su"
        )
        for day, synonyms in enumerate(names.split("|")):
            for name in synonyms.split():
                assert [hours is not None for hours in parse_hours([f"{name} 06:00-22:00"]).days].index(True) == day

    def test_several_days_on_one_line(self) -> None:
        found = parse_hours(["Sat 8am-8pm, Sun closed"])
        assert found == week(sat=hours("8:00-20:00"), sun=())

    def test_nothing_stated_is_a_week_of_unknown_days(self) -> None:
        assert parse_hours([]) == parse_hours(["", " \n"]) == week()


class TestRefusing:
    @pytest.mark.parametrize(
        "line",
        [
            "Monday: 25:00 – 26:00",
            "Monday: 9:75 – 10:00",
            "Monday: 24:30 – 25:00",
            "Monday: 13:00 PM – 3:00 PM",
            "Monday: 0:30 AM – 5:00 AM",
            "Monday: 24:00 – 06:00",
            "Monday: 06:00 – 06:00",
            "Monday: 5:00 – 5:00 PM",
            "Monday: 6:00:00 – 7:00",
        ],
    )
    def test_impossible_times(self, line: str) -> None:
        with pytest.raises(HoursError, match="Monday"):
            parse_hours([line])

    @pytest.mark.parametrize(
        "line",
        [
            "Mon: 9–5",
            "Mon: 9:00 – 5:00",
            "Mon: 9.00 – 5.00",
            "lunes de 9 a 5 hs",
            "Mon 6 10",
            "Mo-Fr 9:00-5:00",
            "Mar 10:00-12:00",
        ],
    )
    def test_lines_with_two_readings(self, line: str) -> None:
        with pytest.raises(HoursError):
            parse_hours([line])

    def test_a_time_that_lost_its_marker_in_a_set_with_am_and_pm(self) -> None:
        with pytest.raises(HoursError, match="no AM or PM"):
            parse_hours(["Monday: 6:00 AM – 10:00 PM", "Friday: 3:00 – 9:00"])

    @pytest.mark.parametrize(
        "line",
        [
            *(
                "Monday",
                "Monday:",
                "06:00 – 22:00 lundi",
                "Closed",
                "Open 24 hours",
                "open",
                "Mo-Fr",
                "Mon Tue 6am-8am",
            ),
            *("lundi 24.12 10.00-14.00", "Mon 6.30.15 - 9", "Ma-Do 9:00-21:00", "الجمعة: حسب الموسم"),
            *("week-end: 8h-20h", "Monday: 6am-8am, holidays", "Monday: 6am –", "Monday 1²:00-14:00", "\ud800"),
        ],
    )
    def test_what_is_not_understood(self, line: str) -> None:
        with pytest.raises(HoursError):
            parse_hours([line])

    def test_the_error_names_the_line_and_the_words(self) -> None:
        with pytest.raises(HoursError, match=r"'mardi: sur rendez-vous': 'sur rendez-vous'"):
            parse_hours(["lundi: 06:00 – 22:00", "mardi: sur rendez-vous"])

    @pytest.mark.parametrize(
        "lines", [["x"] * (MAX_LINES + 1), ["\n".join("x" * (MAX_LINES + 1))], ["9" * (MAX_CHARACTERS + 1)]]
    )
    def test_too_much_text(self, lines: list[str]) -> None:
        with pytest.raises(HoursError, match="more than"):
            parse_hours(lines)

    @pytest.mark.parametrize("piece", ["Mo ", "9", "24 ", "6h ", "Mo,", "10:00-", "a ", "(", '"', "Mo 10:00-12:00 || "])
    def test_hostile_repeats_cost_little(self, piece: str) -> None:
        with bounded_cost(), pytest.raises(HoursError):
            parse_hours([(piece * MAX_CHARACTERS)[:MAX_CHARACTERS]])

    @given(st.lists(st.text(max_size=80) | hour_like_text, max_size=4))
    @settings(max_examples=500, deadline=None)
    def test_any_text_is_a_week_that_prints_back_or_an_hours_error(self, lines: list[str]) -> None:
        try:
            found = parse_hours(lines)
        except HoursError:
            return
        assert parse_hours(french_lines(found)) == found
        assert french_sentence(found)


class TestADayStatedTwice:
    def test_the_same_hours_are_fine(self) -> None:
        assert parse_hours(["Monday: 06:00-22:00", "lundi: 06:00-22:00"]) == week(mon=hours("6:00-22:00"))

    def test_two_lines_of_the_same_days_are_split_hours(self) -> None:
        found = parse_hours(["Monday: 19:00 – 23:00", "Monday: 07:00 – 13:00"])
        assert found == week(mon=hours("7:00-13:00", "19:00-23:00"))

    @pytest.mark.parametrize(
        "lines",
        [
            ["Monday: 06:00-12:00", "Monday: 11:00-14:00"],
            ["Monday: Closed", "Monday: 11:00-14:00"],
            ["Monday: 11:00-14:00", "Monday: Closed"],
            ["Mon-Fri: 06:00-12:00", "Friday: 15:00-21:00"],
            ["Mo-Su 06:00-22:00", "Su off"],
            ["Monday: 6am-10am, 9am-noon"],
        ],
    )
    def test_anything_else_is_refused(self, lines: list[str]) -> None:
        with pytest.raises(HoursError):
            parse_hours(lines)


class TestOsm:
    @pytest.mark.parametrize(
        ("text", "printed"),
        [
            ("Mo-Fr 06:00-22:00; Sa,Su 08:00-20:00; PH off", "Mo-Fr 06:00-22:00; Sa-Su 08:00-20:00"),
            ("Mo-Su 06:00-22:00; Su off", "Mo-Sa 06:00-22:00; Su off"),
            ("24/7; Su off", "Mo-Sa 00:00-24:00; Su off"),
            ("08:00-20:00", "Mo-Su 08:00-20:00"),
            ("Mo-Su,PH 08:00-20:00", "Mo-Su 08:00-20:00"),
            ("Mo-Su 08:00-12:00, Mo 14:00-18:00", "Mo 08:00-12:00,14:00-18:00; Tu-Su 08:00-12:00"),
            ("Mo-Sa 22:00-26:00; Su off;", "Mo-Sa 22:00-02:00; Su off"),
        ],
    )
    def test_weekly_rules(self, text: str, printed: str) -> None:
        assert osm_string(parse_hours([text])) == printed
        assert parse_hours(split_hours_text(text)) == parse_hours([text])

    @pytest.mark.parametrize(
        "text",
        [
            *("Jan Mo 10:00-12:00", "week 1-10 Mo 10:00-12:00", "Mo[1] 10:00-12:00", "2026 Mo 10:00-12:00", "SH off"),
            *("PH 10:00-12:00", 'Mo 10:00-12:00 "on call"', "Mo 10:00+", "Mo sunrise-sunset", "Mo 10:00-12:00 unknown"),
            *("Mo 10:00-12:00 || Tu 10:00-12:00", "easter off", "Mo 10:00-16:00/02:00", "off", "Dec 25 off"),
        ],
    )
    def test_rules_a_week_cannot_hold_are_refused(self, text: str) -> None:
        assert opening_hours.validate(text)
        with pytest.raises(HoursError):
            parse_hours([text])

    def test_a_day_left_out_is_unknown(self) -> None:
        assert parse_hours(["Mo-Sa 08:00-20:00"]).days[6] is None

    def test_mar_among_french_days_is_mardi_not_march(self) -> None:
        assert parse_hours(["lun 08:00-12:00", "mar 08:00-12:00"]).days[1] == hours("8:00-12:00")

    @given(weeks)
    def test_a_printed_week_parses_back(self, stated: Week) -> None:
        assert parse_hours([osm_string(stated)]) == stated

    @given(known_weeks)
    @settings(max_examples=60, deadline=None)
    def test_the_library_opens_and_closes_when_the_week_does(self, stated: Week) -> None:
        # Within the day only: the library lets the next day's rule cut what runs past midnight.
        library = opening_hours.OpeningHours(osm_string(stated))
        monday = datetime(2026, 6, 1)
        for day, openings in enumerate(stated.days):
            tonight = [(opening.start, min(opening.end, 1440)) for opening in openings or ()]
            before = (stated.days[day - 1] or (Interval(0, 1),))[-1].end - 1440
            for minute in {edge + step for span in tonight for edge in span for step in (-1, 0)}:
                if max(before, 0) <= minute < 1440:
                    expected = any(start <= minute < end for start, end in tonight)
                    assert library.is_open(monday + timedelta(days=day, minutes=minute)) == expected


class TestSplittingText:
    def test_lines_and_semicolons_are_cut_and_blanks_dropped(self) -> None:
        assert split_hours_text("lundi: Fermé\r\n\nmardi: 6h-22h ; jeudi: Fermé;") == [
            "lundi: Fermé",
            "mardi: 6h-22h",
            "jeudi: Fermé",
        ]

    def test_an_osm_string_stays_whole(self) -> None:
        assert split_hours_text(" 24/7; Su off ; ") == ["24/7; Su off"]


class TestWeek:
    @pytest.mark.parametrize(("start", "end"), [(-1, 60), (1440, 1500), (60, 60), (90, 60), (60, 1500), (0, 1441)])
    def test_an_interval_that_is_no_opening_is_refused(self, start: int, end: int) -> None:
        with pytest.raises(HoursError):
            Interval(start, end)

    @pytest.mark.parametrize(
        "days", [(None,) * 6, (hours("6:00-9:00", "8:00-10:00"), *[None] * 6), (hours("9:00-10:00", "6:00-7:00"),) * 7]
    )
    def test_a_week_that_is_not_seven_ordered_days_is_refused(self, days: tuple[Day, ...]) -> None:
        with pytest.raises(HoursError):
            Week(days)


class TestFrench:
    def test_lines_are_those_of_google(self) -> None:
        stated = week(mon=hours("6:00-22:00"), tue=hours("7:00-13:00", "19:00-24:00"), fri=(), sun=hours("0:00-24:00"))
        assert french_lines(stated) == [
            "lundi: 06:00\u2009–\u200922:00",
            "mardi: 07:00\u2009–\u200913:00, 19:00\u2009–\u200900:00",
            "vendredi: Fermé",
            "dimanche: Ouvert 24h/24",
        ]

    @given(weeks)
    def test_printed_lines_parse_back(self, stated: Week) -> None:
        assert parse_hours(french_lines(stated)) == stated

    @pytest.mark.parametrize(
        ("osm", "sentence"),
        [
            ("24/7", "Ouvert 24 h/24, 7 j/7."),
            ("Mo-Su off", "Fermé tous les jours."),
            ("Mo-Su unknown", "Horaires non communiqués."),
            ("Mo-Su 06:00-24:00", "Ouvert tous les jours de 6 h à minuit."),
            ("Mo,Tu off", "Fermé le lundi et le mardi."),
            ("Mo 06:30-22:05", "Ouvert le lundi de 6 h 30 à 22 h 05."),
            ("Mo-We 00:00-24:00; Su off", "Ouvert du lundi au mercredi 24 h/24 ; fermé le dimanche."),
            ("Mo-Su 07:00-23:00; Fr off", "Ouvert du samedi au jeudi de 7 h à 23 h ; fermé le vendredi."),
            ("Mo,Su 07:00-23:00", "Ouvert le lundi et le dimanche de 7 h à 23 h."),
            ("Mo,We,Fr 00:00-02:00", "Ouvert le lundi, le mercredi et le vendredi de minuit à 2 h."),
            (
                "Mo-Th 06:00-22:00; Fr 15:00-21:00; Sa-Su 08:00-20:00",
                "Ouvert du lundi au jeudi de 6 h à 22 h, le vendredi de 15 h à 21 h"
                " et le samedi et le dimanche de 8 h à 20 h.",
            ),
            (
                "Mo 07:00-13:00,19:00-24:00; Tu-Fr 07:00-20:00; Sa-Su off",
                "Ouvert le lundi de 7 h à 13 h et de 19 h à minuit, et du mardi au vendredi de 7 h à 20 h ;"
                " fermé le samedi et le dimanche.",
            ),
        ],
    )
    def test_the_sentence_for_each_shape_of_week(self, osm: str, sentence: str) -> None:
        assert french_sentence(parse_hours([osm])).replace("\u00a0", " ") == sentence

    @given(known_weeks)
    def test_the_sentence_holds_the_times_of_the_week_and_no_other(self, stated: Week) -> None:
        openings = [opening for day in stated.days for opening in day or () if not opening.is_whole_day]
        expected = {minute % 1440 for opening in openings for minute in (opening.start, opening.end)}
        sentence = french_sentence(stated).replace("24\u00a0h/24", "")
        written = {int(h) * 60 + int(m or 0) for h, m in re.findall(r"(\d+)\u00a0h(?:\u00a0(\d\d))?", sentence)}
        assert written | ({0} if "minuit" in sentence else set()) == expected


@pytest.mark.parametrize(
    "line",
    [
        "Tous les jours sauf vendredi : 8h-20h",
        "Every day except Friday: 8:00 AM - 8:00 PM",
        "Mon-Sun except Fri 08:00-20:00",
        "todos los días excepto viernes de 8:00 a 20:00",
        "كل يوم ماعدا الجمعة من 8:00 الى 20:00",
    ],
)
def test_of_a_day_that_is_excepted_nothing_is_stated(line: str) -> None:
    opening = (Interval(8 * 60, 20 * 60),)
    assert parse_hours([line]).days == (*[opening] * 4, None, *[opening] * 2)


@pytest.mark.parametrize("line", ["Mon-Fri except Sunday 08:00-20:00", "Every day except Friday"])
def test_an_exception_that_does_not_fit_is_refused(line: str) -> None:
    with pytest.raises(HoursError):
        parse_hours([line])


class TestRealData:
    def test_english_hours_come_out_as_googles_french_ones(self) -> None:
        pairs = [row for row in real_rows("hours_pairs.jsonl") if row["english"] and row["french"]]
        assert pairs
        for row in pairs:
            found = parse_hours(row["english"])
            assert french_lines(found) == row["french"]
            assert parse_hours(row["french"]) == found

    def test_all_stated_hours_of_the_gyms_parse_and_print_back(self) -> None:
        stated = [row["hours"] for row in real_rows("gyms.jsonl") if row["hours"]]
        assert stated
        for lines in stated:
            found = parse_hours(lines)
            assert parse_hours(french_lines(found)) == parse_hours([osm_string(found)]) == found
