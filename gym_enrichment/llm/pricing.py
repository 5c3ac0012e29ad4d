"""What tokens cost, from the kept price list of `genai-prices` (in the package, no download).

What must not live here: budgets.
"""

from dataclasses import dataclass
from functools import cache

from gym_enrichment.llm.endpoint import OFFLINE_MODEL
from gym_enrichment.settings import LlmMode, Settings, SettingsError

# Prices are linear for prompts of a few thousand tokens; the steps some models have begin above 100,000.
_SAMPLE_TOKENS = 1_000
BATCH_FACTOR = 0.5
"""What a token costs through OpenAI's Batch API, compared with an answer at once (its price list, cached ones too)."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per token."""

    prompt: float
    cached_prompt: float
    completion: float

    def cost(self, prompt_tokens: int, cached_tokens: int, completion_tokens: int) -> float:
        """US dollars for one call; `cached_tokens` is the part of `prompt_tokens` the server had cached."""
        fresh = prompt_tokens - cached_tokens
        return fresh * self.prompt + cached_tokens * self.cached_prompt + completion_tokens * self.completion

    def times(self, factor: float) -> "Price":
        """This price with a discount (or a surcharge) on everything."""
        return Price(self.prompt * factor, self.cached_prompt * factor, self.completion * factor)


FREE = Price(0.0, 0.0, 0.0)


def price_from_settings(settings: Settings, model: str) -> Price | None:
    """The price of `model`: the settings' own, or else the price list's; half of it in batch mode.

    Raises:
        SettingsError: only one of the two prices is set.
    """
    price = _full_price(settings, model)
    return price.times(BATCH_FACTOR) if price is not None and settings.llm_mode is LlmMode.BATCH else price


def _full_price(settings: Settings, model: str) -> Price | None:
    prompt, completion = settings.price_prompt, settings.price_completion
    if prompt is None and completion is None:
        return FREE if model == OFFLINE_MODEL else price_of(model)
    if prompt is None or completion is None:
        raise SettingsError("set both GYM_LLM_PRICE_PROMPT and GYM_LLM_PRICE_COMPLETION, or neither")
    cached = prompt if settings.price_cached is None else settings.price_cached
    return Price(prompt / 1e6, cached / 1e6, completion / 1e6)


@cache
def price_of(model: str) -> Price | None:
    """The price of a model by its name; None when the list does not know it."""
    from genai_prices import Usage, calc_price  # half a second of import, needed only when something is paid

    def per_token(**usage: int) -> float:
        return float(calc_price(Usage(**usage), model_ref=model).total_price) / _SAMPLE_TOKENS

    try:
        return Price(
            prompt=per_token(input_tokens=_SAMPLE_TOKENS),
            cached_prompt=per_token(input_tokens=_SAMPLE_TOKENS, cache_read_tokens=_SAMPLE_TOKENS),
            completion=per_token(output_tokens=_SAMPLE_TOKENS),
        )
    except LookupError:
        return None
