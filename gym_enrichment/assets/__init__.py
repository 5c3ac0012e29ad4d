"""The assets: thin sentences over `pipeline/`, one module a step of the data's way."""

import warnings

import dagster as dg

# The backfill policy is what makes a backfill one run; that Dagster calls it beta is no news for every start.
warnings.filterwarnings("ignore", message=".*`backfill_policy`.*", category=dg.BetaWarning)
