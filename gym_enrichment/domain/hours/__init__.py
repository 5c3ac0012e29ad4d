"""Opening hours: read from text into a `Week`, printed from a `Week` in French or as OSM.

Hours are parsed, never guessed. No network, no model, no place data: text in, text out.
"""

from gym_enrichment.domain.hours.french import NOT_STATED, french_lines, french_sentence
from gym_enrichment.domain.hours.osm import osm_string
from gym_enrichment.domain.hours.parse import MAX_CHARACTERS, MAX_LINES, parse_hours, split_hours_text
from gym_enrichment.domain.hours.stated import StatedHours, stated_hours, times_in, times_stated, translated_hours
from gym_enrichment.domain.hours.week import Day, HoursError, Interval, Week

__all__ = [
    "MAX_CHARACTERS",
    "MAX_LINES",
    "NOT_STATED",
    "Day",
    "HoursError",
    "Interval",
    "StatedHours",
    "Week",
    "french_lines",
    "french_sentence",
    "osm_string",
    "parse_hours",
    "split_hours_text",
    "stated_hours",
    "times_in",
    "times_stated",
    "translated_hours",
]
