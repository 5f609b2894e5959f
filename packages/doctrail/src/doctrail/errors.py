"""What went wrong, in a line that says what to do about it."""

from doctrail import exit_codes

__all__ = ["UsageError", "explained"]


class UsageError(Exception):
    """What was asked for makes no sense; the message says what would."""


def explained(error: Exception) -> tuple[int, str]:
    """The exit code and the line for an error."""
    from doctrail_core import NotRecordedError
    from doctrail_core.audit.anchors.anchor import AnchorError
    from doctrail_core.capture.settings import SettingsError
    from doctrail_core.durable.errors import NothingRecordedError, StoreError
    from doctrail_core.erasure.holds import HoldError
    from doctrail_core.erasure.policy import PolicyError
    from doctrail_core.erasure.review import ReviewError
    from doctrail_core.export import ExportError

    match error:
        case NothingRecordedError() | HoldError() | ReviewError():
            return exit_codes.NOTHING, str(error)
        case StoreError() | AnchorError() | ExportError() | NotRecordedError():
            return exit_codes.UNREADABLE, str(error)
        case SettingsError() | UsageError() | PolicyError():
            return exit_codes.USAGE, str(error)
        case OSError():
            return exit_codes.UNREADABLE, _of_system(error)
        case _:
            return exit_codes.FAULT, (
                f"a fault of doctrail itself: {type(error).__name__}: {error}"
                " (set DOCTRAIL_DEBUG=1 to see where, and please report it)"
            )


def _of_system(error: OSError) -> str:
    place = f": {error.filename}" if error.filename else ""
    said = f"{error.strerror or error}{place}"
    if isinstance(error, FileNotFoundError | IsADirectoryError):
        return said
    return f"{said} (check the folder's owner and free space, or name another with --home)"
