"""What the amenity vocabulary promises: what it finds, what it refuses, what an operator may add."""

from pathlib import Path

import pytest

from gym_enrichment.domain.amenities import Vocabulary, fold
from gym_enrichment_tests.costs import bounded_cost

VOCABULARY = Vocabulary.default()


def found(text: str) -> dict[str, bool]:
    return {mention.amenity_id: mention.affirmed for mention in VOCABULARY.mentions(text)}


@pytest.mark.parametrize(
    ("text", "amenity_id"),
    [
        ("La PISCINE est chauffée", "piscine"),
        ("de belles piscines", "piscine"),
        ("Great swimming pool!", "piscine"),
        ("La piscina es grande", "piscine"),
        ("يوجد مسبح كبير", "piscine"),
        ("والمسبح نظيف جدا", "piscine"),
        ("les cours collectifs du soir", "cours-collectifs"),
        ("lots of classes every day", "cours-collectifs"),
        ("cours de boxe le lundi", "boxe"),
        ("elles aiment la boxe", "boxe"),
        ("la clim marche bien", "climatisation"),
        ("مكيفات جديدة", "climatisation"),
        ("aire acondicionado nuevo", "climatisation"),
        ("big locker rooms", "vestiaires"),
        ("open 24/7, perfect after work", "ouvert-24h"),
        ("free Wi-Fi upstairs", "wifi"),
        ("Se\u0301che-cheveux dans l'entrée", "seche-cheveux"),
        ("المدربون رائعون", "coachs"),
        ("الدوشات واسعة", "douches"),
        ("والحمام التركي دافئ", "hammam"),
        ("الدراجة الثابتة مريحة", "velos"),
        ("lvestiaires n9iyin", "vestiaires"),
        ("heavy bumper plates", "poids-libres"),
        ("the app is handy", "application"),
        ("las monitoras son un encanto", "coachs"),
        ("station de métro en face", "transport"),
    ],
)
def test_an_amenity_is_found_whatever_its_language_case_accents_and_plural(text: str, amenity_id: str) -> None:
    assert found(text) == {amenity_id: True}


@pytest.mark.parametrize(
    "text",
    [
        "no parking",
        "no free parking",
        "pas de douche",
        "Il n'y a pas de piscine",
        "wish they had a sauna",
        "I would love to have a sauna",
        "il manque un parking",
        "sin piscina",
        "no hay duchas",
        "me gustaría que hubiera piscina",
        "there used to be a pool",
        "the sauna was removed",
        "they got rid of the sauna",
        "لا يوجد مسبح",
        "بدون مسبح",
        "makach la piscine",
        "parking would be nice",
        "un parking serait un plus",
        "aucun vestiaire",
        "is there a pool?",
        "They don't have a pool",
        "lack of parking",
        "I thought there was a sauna",
        "they promised a pool",
        "My old gym had a sauna",
        "most other gyms have a pool",
        "dans mon ancienne salle il y avait une piscine",
        "on nous avait annoncé un hammam",
        "Pensaba que había sauna",
        "mi gimnasio anterior tenía piscina",
        "في النادي الآخر يوجد مسبح",
        "أحسن من المسبح",
        "better than the pool",
        "I'd love a pool",
        "ma3andhomch parking",
        "They are building a pool",
        "They plan to add a sauna",
        "The former location had a pool",
        "The sauna at the hotel next door is nicer",
        "Not open 24 hours",
        "Not wheelchair accessible",
        "Aucun accès pour les fauteuils roulants",
        "Ils vont ouvrir une piscine",
        "Van a poner sauna",
        "khasshom sauna",
        "It has everything except a sauna",
        "Il y a tout sauf un hammam",
        "Tiene de todo menos sauna",
        "Piscine fermée depuis un an",
        "pool closed for two years",
        "clim HS",
        "ساونا مغلقة منذ شهر",
    ],
)
def test_what_is_denied_wished_for_or_asked_is_not_affirmed(text: str) -> None:
    assert [mention.affirmed for mention in VOCABULARY.mentions(text)] == [False]


@pytest.mark.parametrize(
    "text",
    [
        "ni sauna ni hammam",
        "neither a pool nor a sauna",
        "There is no pool, sauna or steam room.",
        "بدون مسبح ولا ساونا",
        "A pool and a sauna would be great",
        "لا مسبح ولا ساونا",
        "my old club had a pool and a sauna",
    ],
)
def test_a_denial_reaches_along_a_list(text: str) -> None:
    statements = found(text)
    assert len(statements) >= 2
    assert not any(statements.values())


@pytest.mark.parametrize(
    "text",
    [
        "no problem with parking",
        "No parking problems",
        "pas de problème de parking",
        "no hay problema con el parking",
        "لا توجد مشكلة في موقف السيارات",
        "showers not clean",
        "les douches ne sont pas propres",
        "pas que la piscine",
        "not only a pool",
        "no frills, great pool",
        "don't miss the sauna",
        "pas assez de casiers",
        "need more lockers",
        "I wish they cleaned the showers more often",
        "sans hésiter, la piscine est belle",
        "Everything was good except for the showers",
        "Parking across the street",
    ],
)
def test_a_denial_of_something_else_leaves_the_amenity_standing(text: str) -> None:
    statements = found(text)
    assert statements
    assert all(statements.values())


def test_a_denial_takes_back_what_the_same_review_said_just_before() -> None:
    assert [m.affirmed for m in VOCABULARY.mentions("The site shows a pool: there is no pool.")] == [False, False]
    far = "The pool is lovely. " + "Staff are kind. " * 5 + "There was no pool once."
    assert [m.affirmed for m in VOCABULARY.mentions(far)] == [True, False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("un étage entier réservé aux dames", {"espace-femmes": True}),
        ("hay una sala solo para chicas", {"espace-femmes": True}),
        ("قاعة خاصة بالسيدات", {"espace-femmes": True}),
        ("kayen etage lel nssa", {"espace-femmes": True}),
        ("there is no ladies floor", {"espace-femmes": False}),
        ("créneau réservé aux femmes le mardi matin", {}),
        ("the ladies changing room", {"vestiaires": True}),
    ],
)
def test_a_place_for_women_is_an_amenity_and_hours_for_women_are_not(text: str, expected: dict[str, bool]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "The air conditioning never works",
        "The AC is still broken",
        "Le wifi ne marche pas",
        "La clim est constamment en panne",
        "El jacuzzi no funciona",
        "التكييف لا يعمل",
        "la clim ma tekhdemch",
    ],
)
def test_what_never_works_is_not_affirmed(text: str) -> None:
    assert not any(found(text).values())


@pytest.mark.parametrize(
    "text",
    [
        "The treadmill is still broken",
        "Le rameur ne marche pas",
        "One shower has been broken for weeks",
        "The AC doesn't work very well",
    ],
)
def test_equipment_out_of_order_and_what_works_badly_is_there_all_the_same(text: str) -> None:
    assert all(found(text).values())


def test_a_contrast_ends_a_denial() -> None:
    assert found("no sauna but a large pool") == {"sauna": False, "piscine": True}
    assert found("belle piscine mais pas de parking") == {"piscine": True, "parking": False}


@pytest.mark.parametrize(
    "text",
    [
        "a world class gym",
        "a first class place",
        "they have a pool table",
        "prices spinning out of control",
        "my trainers got wet",
        "a box of tissues",
        "boxes everywhere",
        "the bar is high",
        "a step up from my old place",
        "Liverpool fans come here",
        "the manager is a douche",
        "I was wearing yoga pants",
        "no toilet paper left",
        "au cours de ma visite",
        "juste avant le café",
        "it felt like a swimming bath",
    ],
)
def test_a_word_that_means_something_else_is_no_amenity(text: str) -> None:
    assert found(text) == {}


def test_the_longest_phrase_wins_and_says_where_it_stands() -> None:
    text = "Near the drinks machine 😀 and the Locker Rooms"
    assert [text[m.start : m.end] for m in VOCABULARY.mentions(text)] == ["drinks machine", "Locker Rooms"]
    assert found("machines") == {"machines": True}


def test_folding_keeps_every_position() -> None:
    text = "İstanbul Çağ — ŒUVRE e\u0301té مُدرّب 😀"
    assert len(fold(text)) == len(text)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("Piscine", "Piscine"),
        ("PISCINES CHAUFFEES", "Piscine"),
        ("une douche", "Douches"),
        ("swiming pool", "Piscine"),
        ("Cours colectifs", "Cours collectifs"),
        ("vestiares", "Vestiaires"),
        ("Air conditionné", "Climatisation"),
        ("Parking gratuit", "Parking"),
        ("مسبح", "Piscine"),
        ("sauna et hammam", None),
        ("Pas de parking", None),
        ("Personnel accueillant", None),
        ("Propreté", None),
        ("", None),
        ("piscine " * 50, None),
    ],
)
def test_a_free_label_resolves_to_its_concept_or_to_none(label: str, expected: str | None) -> None:
    amenity = VOCABULARY.resolve(label)
    assert (amenity.label if amenity else None) == expected


def test_every_concept_resolves_to_itself_and_is_fit_for_a_sentence() -> None:
    assert len(VOCABULARY.amenities) >= 70
    for amenity in VOCABULARY.amenities:
        assert VOCABULARY.resolve(amenity.label) == amenity
        assert amenity.indefinite.split()[0].split("'")[0] in {"un", "une", "des", "du", "de", "la", "le", "l"}
        assert amenity.label[0].isupper()


def test_an_operator_adds_a_concept_in_a_file(tmp_path: Path) -> None:
    extra = tmp_path / "extra.toml"
    extra.write_text(
        '[[amenity]]\nid = "tir-a-l-arc"\nlabel = "Tir à l\'arc"\ngroup = "equipements"\nen = ["archery"]\n',
        encoding="utf-8",
    )
    vocabulary = Vocabulary.load(extra)
    assert [m.amenity_id for m in vocabulary.mentions("archery and a sauna")] == ["tir-a-l-arc", "sauna"]
    assert VOCABULARY.mentions("archery") == []


def test_an_operator_adds_words_for_descriptions(tmp_path: Path) -> None:
    extra = tmp_path / "extra.toml"
    extra.write_text('[words]\nours = "Tyrolien"\n[verbs]\nours = "tournoyer"\n', encoding="utf-8")
    new = Vocabulary.load(extra).lexicon.words - VOCABULARY.lexicon.words
    assert {"tyrolien", "tyroliennes", "tournoyer", "tournoyee"} <= new
    assert "tournoyez" not in new


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('[[amenity]]\nid = "piscine"\nlabel = "Autre"', "given twice"),
        ('[[amenity]]\nid = "bassin"\nlabel = "Bassin"\nen = ["swimming pool"]', "under both"),
        ('[[amenity]]\nid = "bassin"', "needs a label"),
        ('[[amenity]]\nlabel = "Bassin"', "needs an id"),
        ('[[amenity]]\nid = "bassin"\nlabel = "Bassin"\nen = "basin"', "list of non-empty strings"),
        ("amenity = 3", "tables"),
        ('words = "mur"', "groups"),
        ('[words]\nours = ["mur"]', "line of words"),
        ('[verbs]\nours = "vendre"', "no infinitive"),
        ("[[amenity", "extra.toml"),
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_the_reason(tmp_path: Path, content: str, complaint: str) -> None:
    extra = tmp_path / "extra.toml"
    extra.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=complaint) as error:
        Vocabulary.load(extra)
    assert "extra.toml" in str(error.value)


@pytest.mark.parametrize(
    "unit", ["a", "no ", "no pool, ", "pas de piscine ", "e\u0301", "don t have ", "sauna ", "لا يوجد "]
)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    with bounded_cost():
        VOCABULARY.mentions(text)
