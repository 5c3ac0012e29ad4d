"""Takes over what the old pipeline found: its claims are judged like an answer of an LLM, and nobody is asked.

What must not live here: reading its database (sources/database.py), who stays with it (domain/experiments.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from gym_enrichment.domain.answer_rules import (
    MOST_AMENITIES,
    AnswerRejected,
    broken_amenity_rules,
    broken_character_rules,
)
from gym_enrichment.domain.experiments import LEGACY
from gym_enrichment.domain.grounding import Status
from gym_enrichment.domain.hours import NOT_STATED, stated_hours
from gym_enrichment.domain.legacy import LegacyClaims, legacy_from_row
from gym_enrichment.domain.models import Bundle, Enrichment
from gym_enrichment.pipeline.bundling import build_bundle
from gym_enrichment.pipeline.enriching.judging import Check, Judge, assembled
from gym_enrichment.pipeline.ingesting import IngestReport, Item, KindOfSource, open_all
from gym_enrichment.pipeline.seen import Seen
from gym_enrichment.prompts.combined import AmenityClaim, CombinedAnswer, parse
from gym_enrichment.settings import Settings
from gym_enrichment.sources import RawRow, SourceError, is_database
from gym_enrichment.storage.batches import assign_batches
from gym_enrichment.storage.bundles import read_raw_gyms
from gym_enrichment.storage.legacy import legacy_hashes, write_legacy
from gym_enrichment.storage.raw import Upserted

_GYMS_AT_ONCE = 250
"""Gyms of a transaction, with all their reviews in memory."""


def take_over(settings: Settings, sources: Sequence[str], report: IngestReport) -> None:
    """Bring what the old pipeline found into the rows of the variant LEGACY, and publish it where nothing else is.

    After the gyms and reviews of the same sources: claims are held against the reviews that are stored. Claims that
    are known are not looked at again, even if the reviews changed since.

    Args:
        settings: the database, and how answers are judged.
        sources: paths and database URLs; only databases can hold anything of the old pipeline.
        report: counts and errors are added to it.

    Raises:
        DatabaseError, sqlalchemy.exc.DBAPIError: our database cannot be used; chunks before are saved.
    """
    # Sources that cannot be opened are known from the passes before.
    opened = open_all([spec for spec in sources if is_database(spec)], report)
    with Seen() as seen:
        for source in opened:
            kind = _LegacyOfSource(
                settings.database,
                source,
                "enrichments",
                seen,
                report.enrichments,
                datetime.now(UTC),
                settings=settings,
            )
            try:
                kind.ingest(None)
            except SourceError as error:
                report.add_error(error)


@dataclass(slots=True, kw_only=True)
class _LegacyOfSource(KindOfSource):
    """The pass of the old pipeline's findings over one source."""

    settings: Settings

    @property
    def rows_per_chunk(self) -> int:
        return _GYMS_AT_ONCE

    def read(self, raw: RawRow, row: Mapping[str, Any]) -> Iterable[Item]:
        claims = legacy_from_row(row)
        return () if claims is None else (Item(raw, claims),)

    def write(self, pairs: Sequence[tuple[LegacyClaims, str]]) -> Upserted:
        with self.database.read() as connection:
            known = legacy_hashes(connection, [claims.place_id for claims, _ in pairs])
        result = Upserted(orphans={claims.place_id for claims, _ in pairs if claims.place_id not in known})
        changed = {
            claims.place_id: (claims, hashed)
            for claims, hashed in pairs
            if claims.place_id in known and known[claims.place_id] != hashed
        }
        found, result.refused = self._judged(changed)
        result.updated = sum(known[item.place_id] is not None for item in found)
        result.new = len(found) - result.updated
        result.unchanged = len(pairs) - len(result.orphans) - len(changed)
        if found:
            assign_batches(self.database, self.settings.batch_size)
            write_legacy(self.database, found, self.settings.variant)
        return result

    def _judged(self, changed: Mapping[str, tuple[LegacyClaims, str]]) -> tuple[list[Enrichment], dict[str, str]]:
        """What holds, and the gyms of which nothing can be published, with why."""
        settings = self.settings
        judge = Judge(settings.vocabulary, settings.publish_unverified)
        found: list[Enrichment] = []
        refused: dict[str, str] = {}
        with self.database.read() as connection:
            raw_gyms = read_raw_gyms(connection, list(changed))
        for raw in raw_gyms:
            claims, hashed = changed[raw.gym.place_id]
            bundle = build_bundle(raw, settings.token_budget, settings.vocabulary)
            try:
                found.append(replace(judged(claims, bundle, judge), fingerprint=hashed))
            except AnswerRejected as rejected:
                refused[claims.place_id] = f"{rejected}: and nothing can be said in its place"
        return found, refused


def judged(claims: LegacyClaims, bundle: Bundle, judge: Judge) -> Enrichment:
    """What holds of the claims about one gym; what does not is in `unpublished`, with the reason.

    A claim names no review, so one that reviews show is `repaired`, as of an LLM that cites none. A description that
    says more than is shown loses those sentences, or is composed anew.

    Raises:
        AnswerRejected: not even that can be published.
    """
    good, refused = _names(claims.amenities)
    answer = CombinedAnswer(
        description=claims.description,
        amenities=[AmenityClaim(name=name) for name in good],
        has_women_hours=claims.has_women_hours,
        hours_french=claims.hours_french,
    )
    check = judge.check(parse, bundle)
    description, reasons = _description(check, answer)
    amenities, women = check.amenities(answer).accepted(), check.women(answer).value
    assert women is not None  # only control characters refuse it, and clean_text leaves none
    findings = assembled(description, amenities, women)
    fields = findings.fields(bundle.reviews, publish_unverified=judge.publish_unverified)
    said = {
        "description": {"said": claims.description, "reasons": reasons} if reasons else None,
        "refused_amenities": refused,
        "has_women_hours": "no review shows it" if claims.has_women_hours and not fields["has_women_hours"] else None,
        "hours_french": findings.hours.reason or _unlike(claims.hours_french, findings.hours.osm),
    }
    fields["unpublished"] |= {name: why for name, why in said.items() if why}
    return Enrichment(
        place_id=bundle.place_id, variant=LEGACY, state="enriched", bundle_hash=bundle.content_hash, **fields
    )


def _names(names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Those of the names that can become filters, and why the others cannot."""
    good: list[str] = []
    refused: dict[str, str] = {}
    for name in names:
        reasons = [*broken_character_rules([name]), *broken_amenity_rules([name])]
        if not reasons and len(good) < MOST_AMENITIES:
            good.append(name)
        else:
            refused[name] = "; ".join(reasons) or f"at most {MOST_AMENITIES} are allowed"
    return good, refused


def _description(check: Check, answer: CombinedAnswer) -> tuple[tuple[str, Status], list[str]]:
    """The description with how it was checked, and what was wrong with the old one."""
    part = check.description(answer)
    reasons = [*part.hard, *part.soft]
    if part.value is None:
        mended = check.mended(answer.description)
        if mended is None:
            raise AnswerRejected(reasons)
        return (mended, "repaired"), reasons
    return part.value, reasons


def _unlike(said: str | None, osm: str | None) -> str | None:
    """Why the old pipeline's French hours are not those published; None if they say the same, or there are none."""
    if said is None or said.rstrip(".").casefold() == NOT_STATED.casefold():
        return None
    old = stated_hours(said.split("; "))
    if old is not None and old.osm == osm:
        return None
    return "the old pipeline's hours are not those of the source"
