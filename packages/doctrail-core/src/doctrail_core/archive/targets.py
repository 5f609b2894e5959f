"""Where segments are pushed to: a lake, or an index. Both are filled from segments, each of which arrives once."""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol
from urllib.parse import urlsplit

from doctrail_core.archive import ArchiveError
from doctrail_core.archive.folder import Archive
from doctrail_core.archive.manifest import Manifest

__all__ = ["Target", "is_clickhouse", "target_of"]

_CLICKHOUSE = frozenset({"clickhouse", "clickhouses"})


class Target(Protocol):
    """Something that is filled with segments. Each method raises `ArchiveError` where it does not work."""

    @property
    def name(self) -> str:
        """What it is called, without any password."""
        ...

    def prepare(self) -> None:
        """Make what is missing of it."""
        ...

    def arrived(self, manifests: Iterable[Manifest]) -> Collection[int]:
        """The numbers of those of these segments that it has, as a whole."""
        ...

    def push(self, archive: Archive, manifest: Manifest) -> None:
        """Have a segment; to push it again changes nothing."""
        ...

    def close(self) -> None: ...


def is_clickhouse(url: str) -> bool:
    """Whether an address is of a ClickHouse server."""
    return urlsplit(url).scheme in _CLICKHOUSE


def target_of(urls: Sequence[str]) -> Target:
    """What these addresses name together: `clickhouse://` once for each shard, or one folder or bucket of a lake.

    Raises:
        ArchiveError: They make no sense together, or what they name does not answer.
    """
    if all(map(is_clickhouse, urls)):
        from doctrail_core.archive.clickhouse.target import ClickHouse

        return ClickHouse(urls)
    if len(urls) != 1:
        raise ArchiveError("several targets at once can only be the shards of one ClickHouse index")
    from doctrail_core.archive.lake import Lake

    return Lake(urls[0])
