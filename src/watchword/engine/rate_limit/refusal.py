"""What is answered to who has called too often."""

import math

from watchword.errors import APIError

__all__ = ["refusal"]


def refusal(ends_in: float) -> APIError:
    """Return the answer to who has to wait, in seconds."""
    seconds = str(max(1, math.ceil(ends_in)))
    return APIError.bare(
        429,
        "Too many requests. Please try again later.",
        # The first is what browser clients look for, the second what HTTP has (RFC 9110).
        headers={"x-retry-after": seconds, "retry-after": seconds},
    )
