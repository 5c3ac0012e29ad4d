"""The page as text: what is untrusted stays text, the policy fits the page, numbers read as French ones."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from gym_enrichment.domain.rollout import Finding
from gym_enrichment.pipeline.gallery import Fact, Gallery, GymView
from gym_enrichment.pipeline.reporting import (
    DayOfVariant,
    FailedAttempts,
    FailedGyms,
    Headline,
    Report,
    Throughput,
    VariantFigures,
)
from gym_enrichment.pipeline.rollout_view import RolloutEvent, RolloutStep, RolloutView
from gym_enrichment.report import french
from gym_enrichment.report.charts import bars_by_day
from gym_enrichment.report.page import render

HOSTILE = (
    "</script><script>window.hacked=1</script>",
    '"><img src=x onerror=window.hacked=1>',
    "<!--<script>",
    "{{ 7*7 }} {% raw %}",
    "http://evil.example/?a=1&b=2",
)


def variant(name: str, **figures: Any) -> VariantFigures:
    known = {"gyms": 10, "calls": 30, "calls_per_gym": 3.0, "tokens_per_gym": 3000.0, "cost_usd_per_gym": 0.0009}
    rest = {"latency_p50": 0.8, "latency_p95": 2.5, "invalid_share": 0.01, "unverified_share": 0.2}
    return VariantFigures(variant=name, **(known | rest | figures))


def gym(name: str, **facts: Any) -> GymView:
    known: dict[str, Any] = {
        "city": "Oran",
        "address": "1 rue des Lilas",
        "state": "enriched",
        "description": "Une salle.",
        "description_status": "verified",
        "amenities": {"Sauna": Fact("verified", ["r1"], 1)},
        "women": Fact("repaired", ["r1"], 1, by_name=True),
        "women_hours": None,
        "hours": ["lundi: 06:00 – 22:00"],
        "hours_sentence": "Ouvert le lundi.",
        "hours_status": "parsed",
    }
    return GymView(name=name, **(known | facts))


REPORT = Report(
    generated_at=datetime(2026, 11, 26, 11, 30, tzinfo=UTC),
    headline=Headline(1_234, {"enriched": 1_200, "pending": 34}, 3_600, 2_000_000, 5, 300_000, 12.5, 40, 0.42, 9_000),
    days=[DayOfVariant("2026-11-25", "fanout", 30, 3_000, 0.5), DayOfVariant("2026-11-26", "combined", 10, 900, 0.2)],
    variants=[variant("fanout"), variant("combined", calls=10, calls_per_gym=1.0)],
    throughput_days=[Throughput("2026-11-26", 20, 18, 2, 0, 4, runs=2)],
    throughput_runs=[
        Throughput("2026-11-26", 20, 18, 2, 0, 4, run_id="run-1", variant="combined", ended=datetime.now(UTC))
    ],
    failed_gyms=[FailedGyms("2026-11-26", "bad_request", "combined", 2, "gym-7")],
    failed_attempts=[FailedAttempts("2026-11-26", "timeout", 3)],
    evaluations=[],
    gallery=Gallery([gym("Le Hangar")], 0, {"r1": "Un beau sauna."}),
    rollout=None,
)


class Page(HTMLParser):
    """What a browser would make of the page: its elements, and the text of each script."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.text = ""
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if tag in {"script", "style"}:
            (self.scripts if tag == "script" else self.styles).append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside == "style":
            self.styles[-1] += data
        else:
            self.text += data


def hostile_report(text: str) -> Report:
    """The text wherever somebody else's text may stand."""
    fact = Fact("verified", ["r1"], 1)
    hurt = gym(text, city=text, address=text, description=text, amenities={text: fact}, women=fact, hours=[text])
    return replace(
        REPORT,
        variants=[variant(text)],
        days=[DayOfVariant("2026-11-26", text, 1, 1, 1.0)],
        failed_gyms=[FailedGyms("2026-11-26", text, text, 1, text)],
        failed_attempts=[FailedAttempts("2026-11-26", text, 1)],
        gallery=Gallery([hurt], 0, {"r1": text}),
        rollout=RolloutView(
            state="running",
            old=text,
            new=text,
            share=0.25,
            steps=[RolloutStep(0.25, 2, reached=True)],
            guardrails=[Finding(text, 0.2, 0.1, 0.15, holds=False, severe=False)],
            history=[RolloutEvent(datetime(2026, 11, 20, tzinfo=UTC), text, text, 0.25, text)],
        ),
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_what_others_wrote_is_only_ever_text(text: str) -> None:
    harmless, hurt = Page(render(hostile_report("x"))), Page(render(hostile_report(text)))

    assert [tag for tag, _ in hurt.tags] == [tag for tag, _ in harmless.tags]
    assert [sorted(attrs) for _, attrs in hurt.tags] == [sorted(attrs) for _, attrs in harmless.tags]
    (found,) = [json.loads(script) for script in hurt.scripts if script.lstrip().startswith("{")]
    assert found["gyms"][0]["name"] == text
    assert found["reviews"] == [text]
    assert text in hurt.text
    assert not any(attrs.get("href", "").startswith("http") for _, attrs in hurt.tags if attrs.get("href"))


def test_the_policy_lets_nothing_run_but_the_page_s_own_style_and_script() -> None:
    page = Page(render(REPORT))
    (policy,) = [attrs["content"] or "" for tag, attrs in page.tags if attrs.get("http-equiv")]
    kinds = [attrs.get("type") for tag, attrs in page.tags if tag == "script"]
    (script,) = [text for text, kind in zip(page.scripts, kinds, strict=True) if kind != "application/json"]

    assert policy.startswith("default-src 'none'")
    for text in (script, *page.styles):
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy
    assert "unsafe" not in policy
    assert not any(name == "style" or name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert not any(attrs.get("src") for _, attrs in page.tags)


def test_headline_comparison_and_rollout_say_their_numbers_in_french() -> None:
    text = re.sub(r"\s+", " ", Page(render(REPORT)).text)

    assert "1 234" in text
    assert "12,5 $" in text
    assert "−67 %" in text, "three calls a gym against one"
    assert "aucun déploiement progressif en cours" in text.lower()
    assert "25 %" in re.sub(r"\s+", " ", Page(render(hostile_report("x"))).text)


def test_an_empty_directory_is_a_page_too() -> None:
    nothing = Headline(0, {}, 0, 0, 0, 0, 0.0, 0, 0.0, 0)
    empty = Report(datetime.now(UTC), nothing, [], [], [], [], [], [], [], Gallery([], 0, {}), None)

    assert "</html>" in render(empty)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (french.number(1_234_567), "1 234 567"),
        (french.number(-0.04, 1), "0"),
        (french.number(100), "100"),
        (french.dollars(0.000123), "0,000123 $"),
        (french.dollars(1_234.5), "1 234,5 $"),
        (french.percent(0.1234), "12,3 %"),
        (french.seconds(0.25), "250 ms"),
        (french.change(-0.667), "−67 %"),
        (french.change(None), ""),
        (french.day("2026-02-01"), "1 févr. 2026"),
    ],
)
def test_french_numbers(shown: str, expected: str) -> None:
    assert shown.replace(french.NARROW_SPACE, " ") == expected


def test_bars_fill_the_chart_and_stand_on_each_other() -> None:
    values = {("2026-11-01", "a"): 30.0, ("2026-11-01", "b"): 10.0, ("2026-11-04", "a"): 5.0}

    chart = bars_by_day(values, french.number, french.short_day)

    assert chart is not None
    first, second, last = chart.bars
    assert second.y + second.height == pytest.approx(first.y, abs=0.2)
    assert first.height == pytest.approx(3 * second.height, rel=0.05) == pytest.approx(6 * last.height, rel=0.05)
    assert last.x - first.x == pytest.approx(3 * 85 / 4, abs=0.1), "days without a call keep their place"
    assert chart.series == ["a", "b"]
    assert max(mark.text for mark in chart.lines) == "40"
    assert bars_by_day({("2026-11-01", "a"): 0.0}, french.number, french.short_day) is None
