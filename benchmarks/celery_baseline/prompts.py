"""What the three tasks ask. Plain text, all reviews in it."""

DESCRIPTION = """\
Analyze the customer reviews of this gym and write a description of it in French (3-4 sentences).

Response format:
{"description": "..."}
"""
AMENITIES = """\
Analyze the customer reviews of this gym and list its amenities in French (max 10).

Response format:
{"amenities": ["...", "..."]}
"""
WOMEN_HOURS = """\
Analyze the customer reviews of this gym: are there women-only facilities or hours (true/false)? \
Translate its opening hours to French.

Response format:
{"has_women_hours": true, "hours_french": "..."}
"""
FIELDS = {
    DESCRIPTION: ("description",),
    AMENITIES: ("amenities",),
    WOMEN_HOURS: ("has_women_hours", "hours_french"),
}
"""What each prompt is answered with."""
NAME, HOURS, REVIEWS, BULLET = "\nGym: ", "\nOpening hours: ", "\nReviews:", "\n- "


def prompt(task: str, name: str, hours: str, reviews: list[str]) -> str:
    """One task's prompt about one gym."""
    return task + NAME + name + HOURS + hours + REVIEWS + "".join(BULLET + review for review in reviews)
