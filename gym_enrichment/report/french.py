"""Numbers, dates and the pipeline's terms as French readers write them."""

from datetime import date, datetime

NARROW_SPACE = "\u202f"
_NOTHING = "–"
_MONTHS = "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.".split()

KINDS = {
    "connection": "connexion impossible",
    "timeout": "délai dépassé",
    "rate_limited": "limite de débit",
    "server_error": "erreur du serveur",
    "conflict": "conflit",
    "quota_exhausted": "quota épuisé",
    "unauthorized": "clé refusée",
    "forbidden": "accès interdit",
    "model_not_found": "modèle inconnu",
    "bad_request": "requête refusée",
    "context_overflow": "contexte trop long",
    "too_large": "requête trop grosse",
    "content_filter": "filtre de contenu",
    "refusal": "refus du modèle",
    "truncated": "réponse tronquée",
    "empty": "réponse vide",
    "invalid_answer": "réponse invalide",
    "unpriced": "prix inconnu",
    "cancelled": "annulé",
    "in_api_batch": "dans un lot de l’API",
}
FIGURES = {
    "women_precision": "Femmes : précision",
    "women_recall": "Femmes : rappel",
    "women_f1": "Femmes : F1",
    "evidence_kept": "Preuves conservées par la sélection",
    "amenity_precision": "Équipements : précision",
    "amenity_recall": "Équipements : rappel",
    "amenities_with_evidence": "Équipements avec preuve",
    "hours_exact": "Horaires exacts",
    "descriptions_within_rules": "Descriptions conformes",
    "descriptions_verified": "Descriptions vérifiées",
    "review_tokens_per_gym": "Jetons d’avis par salle (médiane)",
    "tokens_per_gym": "Jetons par salle (médiane)",
    "cost_usd_per_gym": "Coût par salle (médiane)",
    "hostile_refused": "Avis hostiles refusés",
    "hostile_refused_unseen": "Avis hostiles refusés sans détection",
}
VERDICTS = {
    "better": "mieux",
    "worse": "moins bien",
    "no difference shown": "pas de différence établie",
    "not enough data": "trop peu de données",
}
STATES = {"enriched": "enrichies", "skipped": "sans avis", "failed": "en échec", "pending": "en attente"}
ROLLOUT_STATES = {"running": "en cours", "paused": "en pause", "rolled_back": "annulé", "done": "terminé"}


def number(value: float | None, digits: int = 0) -> str:
    """1234.5 as `1 234,5`, thin spaces that do not break; at most `digits` decimals, none that says nothing."""
    if value is None:
        return _NOTHING
    text = f"{value:,.{digits}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text.replace("-", "−").replace(",", NARROW_SPACE).replace(".", ",")


def figure(value: float | None) -> str:
    """A number with about three significant digits, whole from 100 on."""
    if value is None:
        return _NOTHING
    size = abs(value)
    return number(value, 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3 if size >= 0.1 else 4)


def dollars(value: float | None) -> str:
    """An amount of dollars: cents from 10 $ on, and what is less with enough decimals to be seen."""
    if value is None:
        return _NOTHING
    size = abs(value)
    digits = 2 if size >= 1 or not size else 4 if size >= 0.001 else 6
    return f"{number(value, digits)}{NARROW_SPACE}$"


def percent(share: float | None) -> str:
    """A share, 0 to 1, as `12,3 %`."""
    return _NOTHING if share is None else f"{number(100 * share, 1)}{NARROW_SPACE}%"


def seconds(value: float | None) -> str:
    """A duration: milliseconds below a second."""
    if value is None:
        return _NOTHING
    return f"{figure(value)}{NARROW_SPACE}s" if value >= 1 else f"{number(1000 * value)}{NARROW_SPACE}ms"


def change(value: float | None) -> str:
    """A relative difference with its sign: `−63 %`."""
    if value is None:
        return ""
    sign = "+" if value > 0 else "−" if value < 0 else "±"
    return f"{sign}{number(100 * abs(value), 0 if abs(value) >= 0.1 else 1)}{NARROW_SPACE}%"


def moment(value: datetime) -> str:
    """An aware moment in UTC: `26 nov. 2026, 11:30 UTC`."""
    return f"{day(value.date())}, {value:%H:%M} UTC"


def day(value: date | str) -> str:
    """A date, or 2026-11-26, as `26 nov. 2026`."""
    found = date.fromisoformat(value) if isinstance(value, str) else value
    return f"{short_day(found)} {found.year}"


def short_day(value: date | str) -> str:
    """The same without its year."""
    found = date.fromisoformat(value) if isinstance(value, str) else value
    return f"{found.day} {_MONTHS[found.month - 1]}"


GUARDRAILS = {
    "failure_rate": "Salles en échec",
    "invalid_answers": "Réponses invalides",
    "unverified_share": "Équipements non vérifiés",
    "evaluation_loss": "Écart à l'évaluation (1 − F1)",
    "cost_per_gym": "Coût par salle, $",
    "latency_p95": "Latence p95, s",
}
EVENTS = {
    "begin": "début",
    "advance": "étape suivante",
    "finish": "terminé",
    "pause": "pause",
    "roll_back": "retour en arrière",
    "resume": "reprise",
    "set": "réglage",
    "end": "fin",
}
