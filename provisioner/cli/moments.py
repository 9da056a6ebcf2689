"""Reads ``--since``: a date, a time, or how long ago."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from provisioner.errors import CommandInvalid

if TYPE_CHECKING:
    import click

_DURATION: Final = r"([0-9]+)([smhd])"
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
# Stricter than datetime.fromisoformat, which accepts any character as the T, and weeks as dates.
_MOMENT: Final = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)


def since(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    """Return the moment that ``--since`` names, in UTC, rounded down to the second; None if it is not given.

    Raises CommandInvalid.
    """
    if text is None:
        return None
    moment = None
    with suppress(ValueError, OverflowError):
        if duration := re.fullmatch(_DURATION, text):
            moment = datetime.now(UTC) - timedelta(**{_UNITS[duration[2]]: int(duration[1])})
        elif re.fullmatch(_MOMENT, text):
            named = datetime.fromisoformat(text)
            moment = named.replace(tzinfo=UTC) if named.tzinfo is None else named.astimezone(UTC)
    if moment is None:
        raise CommandInvalid(
            f"--since {text} is neither a date nor a duration.",
            hint="Write a date or time, as in 2026-01-31 or 2026-01-31T12:00:00Z (UTC if you give no zone), or how"
            " long ago, as in 30m, 12h or 7d.",
        )
    return moment.replace(microsecond=0)
