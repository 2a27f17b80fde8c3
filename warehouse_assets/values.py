"""Values of rows as JSON has them."""

import math
from datetime import date
from decimal import Decimal
from typing import Any


def plain(value: Any) -> Any:
    """A value as JSON has it: times are text, and what is no number is null."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
