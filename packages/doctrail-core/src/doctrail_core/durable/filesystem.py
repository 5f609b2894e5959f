"""Which file systems may hold a home folder: those of this machine.

Over a network, locks and the memory that SQLite shares between processes are not what they say, and a
ledger that two machines believe to own is none.
"""

import errno
import os
import re
from pathlib import Path

__all__ = ["NotLocalError", "check_is_local", "type_of_file_system"]

_MOUNTS = Path("/proc/self/mountinfo")
_REMOTE = re.compile(
    r"afs|beegfs|ceph|cifs|coda|davfs|glusterfs|gpfs|lustre|ncpfs|nfs4?|orangefs|pvfs2|smb2|smb3|smbfs"
)
_REMOTE_IN_USERSPACE = re.compile(
    r"sshfs|s3fs|s3ql|mount-s3|mountpoint-s3|goofys|gcsfuse|blobfuse2?|rclone|glusterfs|ceph(-fuse)?|juicefs"
    r"|davfs2?|curlftpfs|smbnetfs|mfs|moosefs|seaweedfs|hdfs|alluxio.*"
)


class NotLocalError(OSError):
    """The home folder lies on another machine."""


def check_is_local(path: Path) -> None:
    """Let no file system of another machine hold a folder of ours.

    Raises:
        NotLocalError: One does.
    """
    found = type_of_file_system(path)
    if found is not None and _is_remote(found):
        raise NotLocalError(
            errno.ENOTSUP,
            f"{path} lies on a network file system ({found}), on which neither locks nor SQLite can be"
            " relied on: nothing can be recorded there. Set DOCTRAIL_HOME to a folder on a local disk",
        )


def type_of_file_system(path: Path) -> str | None:
    """What holds the path, or would if it were made; None where the system does not say."""
    try:
        mounts = _MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    place = os.path.realpath(path)
    found, depth = None, -1
    for point, name in map(_mount, mounts):
        # Of those at one point, the last covers the others.
        if len(point) >= depth and _is_within(place, point):
            found, depth = name, len(point)
    return found


def _mount(line: str) -> tuple[str, str]:
    """A mount's point and type."""
    place, _, kind = line.partition(" - ")
    point = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), place.split(" ")[4])
    return point, kind.split(" ", 1)[0]


def _is_within(place: str, point: str) -> bool:
    return place == point or place.startswith(point.rstrip("/") + "/")


def _is_remote(name: str) -> bool:
    kind, _, program = name.partition(".")
    if kind == "fuse":
        return bool(_REMOTE_IN_USERSPACE.fullmatch(program))
    return bool(_REMOTE.fullmatch(kind))
