"""A request's body, made readable: compressed ones are unpacked, and none beyond a size.

A few bytes can be made to unpack to any number, so unpacking stops at the limit, not after it.
"""

import zlib

__all__ = ["ENCODINGS", "BodyTooLargeError", "MalformedBodyError", "unpacked"]

ENCODINGS = ("identity", "gzip", "deflate")
_WINDOW = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


class BodyTooLargeError(Exception):
    """There is more of it than is taken at once."""


class MalformedBodyError(ValueError):
    """It is not compressed as it says."""


def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """The body as it was before it was compressed.

    Raises:
        BodyTooLargeError: It is longer than the limit.
        MalformedBodyError: It is damaged.
    """
    if encoding == "identity":
        return body
    unpacking = zlib.decompressobj(_WINDOW[encoding])
    try:
        found = unpacking.decompress(body, limit + 1)
    except zlib.error as error:
        raise MalformedBodyError(f"the body is not compressed with {encoding}") from error
    if len(found) > limit:
        raise BodyTooLargeError(f"the body unpacks to more than {limit:,} bytes")
    if not unpacking.eof or unpacking.unused_data:
        raise MalformedBodyError(f"the body is not one whole piece of {encoding} data")
    return found
