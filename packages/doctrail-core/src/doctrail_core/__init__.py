"""The core of doctrail: where did that answer come from?

Names load on first use, so that importing this costs nothing but this file.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from doctrail_core.capture.receipts import NotRecordedError as NotRecordedError
    from doctrail_core.capture.scope import suppress as suppress
    from doctrail_core.capture.settings import Settings as Settings
    from doctrail_core.capture.settings import SettingsError as SettingsError
    from doctrail_core.composition import Lineage as Lineage
    from doctrail_core.composition import OpenTrail as OpenTrail
    from doctrail_core.composition import configure as configure
    from doctrail_core.composition import default_lineage as default_lineage
    from doctrail_core.composition import lineage as lineage
    from doctrail_core.grounding.checking import check as check
    from doctrail_core.grounding.settings import Grounding as Grounding
    from doctrail_core.model import Trail as Trail

_HOMES = {
    "Grounding": "grounding.settings",
    "Lineage": "composition",
    "NotRecordedError": "capture.receipts",
    "OpenTrail": "composition",
    "Settings": "capture.settings",
    "SettingsError": "capture.settings",
    "Trail": "model",
    "check": "grounding.checking",
    "configure": "composition",
    "default_lineage": "composition",
    "lineage": "composition",
    "suppress": "capture.scope",
}

__all__ = [
    "Grounding",
    "Lineage",
    "NotRecordedError",
    "OpenTrail",
    "Settings",
    "SettingsError",
    "Trail",
    "check",
    "configure",
    "default_lineage",
    "lineage",
    "suppress",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
