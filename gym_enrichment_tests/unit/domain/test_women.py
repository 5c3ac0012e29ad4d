"""When reviews and a name say that a gym keeps hours or a space for women, and when they say nothing."""

import json
import os
from collections import defaultdict
from pathlib import Path

import pytest

from gym_enrichment.domain.women import (
    WomenStatement,
    women_only_name,
    women_only_statements,
    women_only_verdict,
)
from gym_enrichment_tests.costs import bounded_cost

REAL_DATA = Path(os.environ.get("GYM_REAL_DATA", Path(__file__).parents[4] / "shared" / "data"))


def verdict(*reviews: str, name: str = "") -> str:
    return women_only_verdict([women_only_statements(review) for review in reviews], name)


@pytest.mark.parametrize(
    "text",
    [
        "They have a ladies only area",
        "There is a women's section upstairs",
        "Love the girls only section",
        "a separate floor for women",
        "It has a dedicated women's workout area",
        "Men keep walking into the ladies section",
        "Very nice ladies area",
        "Mixed gym but there is a women's only room",
        "Salle réservée aux femmes",
        "Il y a un étage pour les femmes",
        "des cours de zumba pour femmes",
        "Très bonne salle pour les femmes uniquement",
        "Le matin c'est pour les femmes",
        "salle non mixte",
        "Il y avait des hommes pendant le créneau réservé aux femmes",
        "Hay una sala solo para mujeres",
        "zona de mujeres en la segunda planta",
        "يوجد قسم خاص بالنساء",
        "قاعة للسيدات فقط",
        "kayen salle lel nssa",
        "Es gibt einen Bereich nur für Frauen",
        "Der er en kvindeafdeling",
        "Women's hour every Monday evening",
        "Women have their own floor",
        "étage entier dédié aux femmes",
        "Les lundis et jeudis sont pour les femmes",
        "une salle pour les hommes, une pour les femmes",
        "área exclusiva para damas",
        "قسم نسائي منفصل",
        "دور السيدات جميل",
        "الصباح للنساء والمساء للرجال",
        "sbah lel nssa w l3chiya lel rjal",
        "étage ta3 lebnat",
        "Le coin lady a ses propres machines",
        "Une salle sans hommes, quel calme",
        "les hommes le soir et aux femmes en matinée",
        "10h a 12h reserver aux dames",
        "The women's swimming sessions are on Mondays",
        "Les filles ont leur propre étage",
    ],
)
def test_a_space_or_hours_for_women_only_is_a_yes(text: str) -> None:
    assert verdict(text) == "yes"


@pytest.mark.parametrize(
    "text",
    [
        "No women only area",
        "there isn't a women only area",
        "It would be nice to have a ladies area",
        "Would love a women only area",
        "They need a women only area",
        "They removed the women's section",
        "The ladies gym was removed",
        "They had a ladies section. It was removed last month.",
        "There used to be a women only room",
        "la salle est mixte malheureusement",
        "il n'y a pas d'espace pour femmes",
        "Il faudrait des horaires pour femmes",
        "Il n'y a plus d'espace femmes",
        "No hay zona para mujeres",
        "El gimnasio es mixto",
        "لا يوجد قسم للنساء",
        "صالة مختلطة",
        "There was a ladies corner but they have removed it",
        "The ladies gym closed down in spring",
        "I was told there was a ladies section",
        "Il y avait un créneau femmes, mais ils l'ont arrêté",
        "Antes tenían una sala de mujeres",
        "Había una zona para chicas pero la quitaron",
        "sería estupendo un horario para mujeres",
        "الأجهزة جيدة ولا يوجد قسم للنساء",
        "كان لديهم وقت للنساء ثم ألغوه",
        "يا ليت فيه وقت للسيدات",
        "ma3andhomch salle lel nssa",
        "makaynch wa9t lel bnat",
        "nchallah ydiro wa9t lel nssa",
        "Vous devriez ouvrir un espace pour les femmes",
        "Mixte toute la journée",
        "C'est un club pour hommes seulement",
        "صالة للرجال فقط",
        "la salle ghir rjal",
        "lgym mokhtalat rjal w nsa",
        "Women are not allowed",
        "Elle a demandé s'il y avait des heures pour femmes, on lui a répondu : la réponse est non",
        "Hommes et femmes ensemble toute la journée",
        "not women only",
        "No es exclusivo para mujeres",
    ],
)
def test_a_denial_a_wish_a_removal_or_a_mixed_gym_is_a_no(text: str) -> None:
    assert verdict(text) == "no"


@pytest.mark.parametrize(
    "text",
    [
        "The women's changing room is dirty",
        "vestiaires réservés aux femmes",
        "There are women only toilets",
        "sauna in the women's section of the locker room",
        "Is there a ladies area?",
        "Y a-t-il un espace femmes ?",
        "هل يوجد قسم للنساء؟",
        "une coach pour femmes géniale",
        "girls at the desk are nice",
        "Women only pay 5 dollars",
        "a good gym for women",
        "Ladies night every Tuesday",
        "women's shoes",
        "The other gyms have ladies only areas",
        "mixed changing rooms",
        "mixed feelings about this place",
        "une salle pour femmes et hommes",
        "the women gym goers are friendly",
        "she is a lady only interested in money",
        "cours pour filles et garçons",
        "l'autre club a un étage pour femmes",
        "el otro gimnasio tiene zona de mujeres",
        "في الفرع الآخر يوجد طابق للسيدات",
        "ma femme y va le matin",
        "المدربة خاصة بالنساء",
        "النادي مناسب للنساء والرجال",
        "غرفة ملابس السيدات ضيقة",
        "cours de gym pour femmes enceintes",
        "clases con mujeres mayores",
        "salle fiha bnat w rjal",
        "deux vestiaires, un pour les femmes et un pour les hommes",
        "Je cherche une salle pour femmes à Oran",
        "The club down the street has a ladies only room",
        "Can anyone tell me, I want to know if they have women only hours",
    ],
)
def test_staff_changing_rooms_questions_and_discounts_say_nothing(text: str) -> None:
    assert women_only_statements(text) == []


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("femmes de 14h à 16h", "de 14h à 16h"),
        ("Horaires femmes : de 9h à 12h", "de 9h à 12h"),
        ("Women only hours from 10am to 12pm", "from 10am to 12pm"),
        ("Le créneau femmes est génial. Ouvert de 8h à 22h.", None),
        ("There is a ladies area", None),
        ("Women's hour on Mondays, 9 to 10am", "9 to 10am"),
        ("وقت للنساء من الساعة 10 إلى 12", "من الساعة 10 إلى 12"),
        ("wa9t lel nssa mn 10 l 12.", "mn 10 l 12"),
    ],
)
def test_the_hours_of_a_statement_are_quoted_as_written(text: str, hours: str | None) -> None:
    assert [statement.hours for statement in women_only_statements(text)] == [hours]


def test_a_statement_says_where_it_stands() -> None:
    text = "Déjà 2 ans 😀 : l'espace femmes est top"
    (statement,) = women_only_statements(text)
    assert text[statement.start : statement.end] == "espace femmes"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Ladies Gym Oran", True),
        ("Spa Yasmine | Que pour Femmes", True),
        ("Lady Fitness", True),
        ("Fitness Lady Jasmin", True),
        ("نادي سيدات", True),
        ("Lady Bird Lake Gym", False),
        ("Fitness hommes et femmes", False),
        ("Fit Club", False),
    ],
)
def test_a_name_can_say_that_a_gym_is_for_women(name: str, expected: bool) -> None:
    assert women_only_name(name) is expected


YES = WomenStatement(0, 1, "yes", None)
NO = WomenStatement(0, 1, "no", None)


@pytest.mark.parametrize(
    ("reviews", "expected"),
    [
        ([], "unknown"),
        ([[], []], "unknown"),
        ([[YES], [], []], "yes"),
        ([[NO]], "no"),
        ([[NO, YES]], "yes"),
        ([[YES], [NO]], "unknown"),
        ([[YES], [NO], [NO]], "no"),
        ([[YES, YES, YES], [NO], [NO]], "no"),
    ],
)
def test_each_review_has_one_voice_and_the_majority_decides(reviews: list[list[WomenStatement]], expected: str) -> None:
    assert women_only_verdict(reviews) == expected


def test_the_name_outweighs_reviews() -> None:
    assert women_only_verdict([[NO]], "Ladies Gym") == "yes"


@pytest.mark.parametrize("unit", ["women ", "women only ", "a", "salle de ", "no ladies area ", "12h à ", "نساء "])
def test_hostile_text_takes_bounded_time(unit: str) -> None:
    with bounded_cost():
        women_only_statements(unit * (200_000 // len(unit)))


def test_labelled_real_gyms_are_judged_rightly() -> None:
    if not (REAL_DATA / "labels_women.jsonl").exists():
        pytest.skip(f"no real data at {REAL_DATA} (set GYM_REAL_DATA)")

    def rows(name: str) -> list[dict[str, str]]:
        return [json.loads(line) for line in (REAL_DATA / name).read_text(encoding="utf-8").splitlines()]

    truth = {row["place_id"]: row for row in rows("labels_women.jsonl") if row["verdict"] != "ambiguous"}
    reviews: dict[str, list[str]] = defaultdict(list)
    for row in rows("reviews.jsonl"):
        if row["place_id"] in truth and row["text"]:
            reviews[row["place_id"]].append(row["text"])
    said = {place: verdict(*reviews[place], name=row["name"]) == "yes" for place, row in truth.items()}
    right = sum(said[place] and row["verdict"] == "true" for place, row in truth.items())
    precision = right / sum(said.values())
    recall = right / sum(row["verdict"] == "true" for row in truth.values())
    assert precision >= 0.9
    assert 2 * precision * recall / (precision + recall) >= 0.85
