"""How long a server asks to wait before the next request: the header Retry-After."""

import email.utils
import math
from contextlib import suppress


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait by a value of Retry-After, which is a number of seconds or a date (RFC 9110, section 10.2.3).

    Args:
        value: of the header; None without it.
        now: seconds since 1970, by which a date is read. A date that has passed is 0.

    Returns:
        0 or more; None without the header and when it is neither.
    """
    with suppress(TypeError, ValueError):
        wait = float(value or "")
        if math.isfinite(wait):
            return max(0.0, wait)
    with suppress(TypeError, ValueError):
        return max(0.0, email.utils.parsedate_to_datetime(value or "").timestamp() - now)
    return None
