"""The name of a log, which stands in its checkpoints and in the receipts for what is in it."""

import json
from contextlib import suppress
from typing import Any, cast

from doctrail_core.durable.home import Home

__all__ = ["origin_of"]


def origin_of(home: Home) -> str | None:
    """As `doctrail audit init` has named it; None where that was not done."""
    with suppress(OSError, ValueError, AttributeError):
        text = (home.path / "audit" / "config.json").read_text("utf-8")
        name = cast("dict[str, Any]", json.loads(text)).get("origin")
        return name if isinstance(name, str) else None
    return None
