"""The golden set that ships with the package holds together: gyms, reviews and labels fit each other."""

import json
import re
from collections import Counter, defaultdict
from importlib import resources
from typing import Any

import pytest

from gym_enrichment.domain.amenities import Vocabulary
from gym_enrichment.domain.evaluation import Label, parse_label
from gym_enrichment.domain.hours import HoursError, french_lines, parse_hours

GOLDEN = resources.files("gym_enrichment").joinpath("golden")
SAMPLE = resources.files("gym_enrichment").joinpath("sample")


def rows(name: str, folder: Any = GOLDEN) -> list[dict[str, Any]]:
    return [json.loads(line) for line in folder.joinpath(name).read_text(encoding="utf-8").splitlines()]


GYMS = {row["place_id"]: row for row in rows("gyms.jsonl")}
REVIEWS = rows("reviews.jsonl")
ROWS = rows("labels.jsonl")
LABELS = [parse_label(row) for row in ROWS]
OF_GYM: dict[str, list[dict[str, Any]]] = defaultdict(list)
for review in REVIEWS:
    OF_GYM[review["place_id"]].append(review)


def test_every_row_has_the_columns_of_the_sample() -> None:
    for name, golden in (("gyms.jsonl", list(GYMS.values())), ("reviews.jsonl", REVIEWS)):
        columns = list(rows(name, SAMPLE)[0])
        assert all(list(row) == columns for row in golden)


def test_there_are_at_least_64_gyms_and_400_reviews_and_no_id_is_given_twice() -> None:
    assert len(GYMS) == len(rows("gyms.jsonl")) >= 64
    assert len({review["review_id"] for review in REVIEWS}) == len(REVIEWS) >= 400


def test_every_gym_has_one_label_and_4_to_14_reviews() -> None:
    assert sorted(label.place_id for label in LABELS) == sorted(GYMS) == sorted(OF_GYM)
    assert all(4 <= len(reviews) <= 14 for reviews in OF_GYM.values())


def test_each_main_language_has_at_least_12_gyms() -> None:
    main = Counter(main_language(reviews) for reviews in OF_GYM.values())
    assert all(main[language] >= 12 for language in ("fr", "en", "es", "ar"))
    assert sum(review["language"] == "ar-Latn" for review in REVIEWS) >= 20, "Darja in Latin letters"


def test_evidence_exists_and_belongs_to_its_gym() -> None:
    for label in LABELS:
        assert set(label.evidence_review_ids) <= {review["review_id"] for review in OF_GYM[label.place_id]}


def test_a_verdict_has_evidence_unless_the_name_alone_speaks_or_nobody_does() -> None:
    for row, label in zip(ROWS, LABELS, strict=True):
        silent = label.verdict == "none" or "name-only" in row["traps"]
        assert bool(label.evidence_review_ids) != silent, label.place_id
        assert label.why


def test_every_labelled_amenity_is_in_the_vocabulary_and_is_not_denied_too() -> None:
    known = {amenity.id for amenity in Vocabulary.default().amenities}
    for label in LABELS:
        assert label.amenities is not None
        assert label.amenities | label.amenities_absent <= known
        assert not label.amenities & label.amenities_absent


def test_the_amenities_of_all_groups_and_most_concepts_appear() -> None:
    seen = {amenity for label in LABELS for amenity in (label.amenities or ())}
    groups = {Vocabulary.default().get(amenity).group for amenity in seen}
    assert groups == {"equipements", "cours", "eau-chaleur", "services", "acces", "confort"}
    assert len(seen) >= 70


def test_labelled_hours_are_what_the_parser_writes_wherever_it_reads_them() -> None:
    read = 0
    for label in LABELS:
        try:
            week = parse_hours(GYMS[label.place_id]["hours"] or [])
        except HoursError:
            continue
        read += 1
        assert label.hours_french == tuple(french_lines(week)), label.place_id
    assert read >= 55


def test_labelled_hours_use_no_digit_that_the_source_does_not_have() -> None:
    for label in LABELS:
        minutes = {time[-2:] for line in label.hours_french or () for time in re.findall(r"\d\d:\d\d", line)}
        source = " ".join(GYMS[label.place_id]["hours"] or [])
        assert all(minute == "00" or minute in source for minute in minutes)


def test_the_hours_come_in_many_forms() -> None:
    texts = ["\n".join(gym["hours"] or []) for gym in GYMS.values()]
    forms = {
        "none": r"^$",
        "English with U+202F": r"AM\u2009|\u202fAM",
        "U+2009": "\u2009",
        "AM/PM on one side": r": \d+:\d\d\s–\s\d+:\d\d\s[AP]M",
        "split": r"\d, \d",
        "past midnight": r"1:00\sAM$|00:30",
        "closed": r"Closed|Fermé|fermé",
        "24 hours": r"24h/24|Open 24 hours|24/7",
        "OSM": r"^(?:Mo|24/7)",
        "joined days": r"Mon-Fri|Sat-Thu|Lundi - Jeudi",
        "words only": r"selon saison|sauf vendredi|by appointment",
        "Arabic words": "يفتح",
    }
    missing = [form for form, pattern in forms.items() if not any(re.search(pattern, t, re.M) for t in texts)]
    assert not missing


@pytest.mark.parametrize(
    ("trap", "gyms"),
    [
        ("negation", 30),
        ("wish", 6),
        ("removed", 5),
        ("other-gym", 4),
        ("changing-rooms", 4),
        ("female-staff", 4),
        ("ladies-night", 2),
        ("mixed", 4),
        ("name-only", 3),
        ("stated-hours", 8),
        ("rare-hint", 4),
        ("contradiction", 3),
        ("near-duplicates", 4),
        ("empty-talk", 4),
        ("names-person", 10),
        ("price", 8),
        ("opinion", 5),
        ("two-languages", 5),
        ("not-a-gym", 1),
        ("no-text", 1),
        ("question", 1),
    ],
)
def test_each_trap_is_set(trap: str, gyms: int) -> None:
    assert sum(trap in row["traps"] for row in ROWS) >= gyms


def test_a_rare_hint_is_one_review_of_at_least_13() -> None:
    for label in trapped("rare-hint"):
        assert len(label.evidence_review_ids) == 1
        assert len(OF_GYM[label.place_id]) >= 13


def test_stated_women_hours_stand_in_an_evidence_review() -> None:
    for label in LABELS:
        if label.women_hours:
            texts = [review["text"] for review in OF_GYM[label.place_id]]
            ids = [review["review_id"] for review in OF_GYM[label.place_id]]
            assert any(
                label.women_hours in text
                for text, review_id in zip(texts, ids, strict=True)
                if review_id in label.evidence_review_ids
            )


def test_the_gym_without_text_has_none_at_all() -> None:
    for label in trapped("no-text"):
        assert not any((review["text"] or "").strip() for review in OF_GYM[label.place_id])


def test_both_verdicts_are_common_enough_to_score() -> None:
    verdicts = Counter(label.verdict for label in LABELS)
    assert min(verdicts["true"], verdicts["false"]) >= 20
    assert min(verdicts["ambiguous"], verdicts["none"]) >= 3


def trapped(trap: str) -> list[Label]:
    return [label for row, label in zip(ROWS, LABELS, strict=True) if trap in row["traps"]]


def main_language(reviews: list[dict[str, Any]]) -> str:
    return Counter((review["language"] or "").split("-")[0] for review in reviews).most_common(1)[0][0]
