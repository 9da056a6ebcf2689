"""Finds the JSON Schemas: inside the installed package, or at the top of a checkout."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

_PACKAGE: Final = Path(__file__).resolve().parent
_PLACES: Final = (_PACKAGE / "_schemas", _PACKAGE.parent / "schemas")


def text(name: str) -> str:
    """Return the text of the schema ``name``, as in ``manifest.v1``."""
    for place in _PLACES:
        path = place / f"{name}.schema.json"
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise FileNotFoundError(f"The schema {name} is missing from this installation of provisioner.")


@cache
def load(name: str) -> dict[str, Any]:
    """Return the parsed schema ``name``; callers share it and must not change it."""
    return cast("dict[str, Any]", json.loads(text(name)))
