"""The database that the old pipeline left: what is good in it, and all that is bad in real ones."""

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

_TABLES = """
CREATE TABLE gyms (place_id TEXT, name TEXT, address TEXT, lat REAL, lng REAL, phone TEXT, website TEXT, rating REAL,
    reviews_count INTEGER, hours TEXT, photo_urls TEXT, description TEXT, amenities TEXT, has_women_hours INTEGER,
    hours_french TEXT);
CREATE TABLE reviews (review_id TEXT PRIMARY KEY, place_id TEXT, author_name TEXT, rating INTEGER, text TEXT,
    published_at_str TEXT);
CREATE TABLE places (place_id TEXT PRIMARY KEY, source_city TEXT, status TEXT);
"""
AUTHOR, PHOTO = "Jeanne Dupont-Martin", "https://photos.example/AF1QipN-salle.jpg"
HOURS = [f"{day}: 06:00 – 22:00" for day in ("lundi", "mardi", "mercredi", "jeudi", "vendredi")]
TRUE = (
    "Cette salle de sport est située à Oran. Elle propose un sauna et une piscine à ses clients. "
    "Les avis mentionnent aussi un espace musculation."
)
"""A description that says nothing but what `REVIEWS` show."""
BOASTFUL = (
    "Cette salle de sport est située à Oran. Elle propose un hammam et un jacuzzi en marbre. "
    "Les avis mentionnent aussi un espace musculation. Le directeur Karim vous offre dix séances."
)
"""One that says more."""
REVIEWS = (
    "Très bonne salle, le sauna est propre et la piscine est grande.",
    "Le sauna et l'espace musculation sont bien équipés.",
    "Piscine agréable, musculation complète.",
)


def gym(place_id: str, **values: Any) -> dict[str, Any]:
    """A row of the table `gyms`, finished unless `values` say otherwise."""
    return {
        "place_id": place_id,
        "name": f"Salle {place_id}",
        "address": "12 rue de l'Été, Oran",
        "lat": 35.7,
        "lng": -0.63,
        "phone": "+213 41 00 00 00",
        "website": "https://salle.example",
        "rating": 4.5,
        "reviews_count": 3,
        "hours": json.dumps(HOURS, ensure_ascii=False),
        "photo_urls": json.dumps([PHOTO]),
        "description": TRUE,
        "amenities": json.dumps(["Sauna", "Piscine", "Espace musculation"], ensure_ascii=False),
        "has_women_hours": 0,
        "hours_french": "; ".join(HOURS),
        **values,
    }


def write_old_database(path: Path, gyms: Iterable[dict[str, Any]], *, wal: bool = False) -> Path:
    """A database of the old pipeline with these gyms, three reviews each; closed, as after its last run."""
    with closing(sqlite3.connect(path)) as connection, connection:
        if wal:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(_TABLES)
        for row in gyms:
            names = ", ".join(row)
            connection.execute(
                f"INSERT INTO gyms ({names}) VALUES ({', '.join('?' * len(row))})",
                list(row.values()),
            )
            place_id = row["place_id"]
            connection.execute("INSERT OR IGNORE INTO places VALUES (?, 'Oran', 'enriched')", (place_id,))
            for number, text in enumerate(REVIEWS):
                review = (f"{place_id}-{number}", place_id, AUTHOR, 5, text, "il y a 2 mois")
                connection.execute("INSERT OR IGNORE INTO reviews VALUES (?, ?, ?, ?, ?, ?)", review)
    return path
