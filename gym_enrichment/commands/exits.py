"""How commands end: exit codes, and one line on standard error for what is wrong."""

import sys
from typing import NoReturn

SOME_FAILED = 1
WRONG_USE = 2
INTERRUPTED = 130
"""What shells report for a program that Ctrl-C ended."""


def refuse(message: str) -> NoReturn:
    """End with exit code 2."""
    from gym_enrichment.console import say

    say(f"error: {message}")
    sys.exit(WRONG_USE)
