"""An anchor that is a git repository: one commit for each checkpoint, pushed to where others pull from.

The history of a repository that somebody else has cloned cannot be changed behind their back.
"""

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from doctrail_core.audit.anchors.anchor import (
    AnchorError,
    AnchorReceipt,
    agreed,
    folder_of,
    head,
    place_of,
)
from doctrail_core.audit.anchors.directory import deposit

__all__ = ["GitAnchor"]

_PATIENCE = 30.0
_WHO = {
    "GIT_AUTHOR_NAME": "doctrail",
    "GIT_AUTHOR_EMAIL": "doctrail@localhost",
    "GIT_COMMITTER_NAME": "doctrail",
    "GIT_COMMITTER_EMAIL": "doctrail@localhost",
}


class GitAnchor:
    """Commits checkpoints into the working tree of a repository, and pushes them where a remote is named.

    Without a remote it is no more than a directory: whoever has the repository can rewrite it.
    """

    kind = "git"

    def __init__(self, name: str, path: Path, remote: str | None = None) -> None:
        self.name = name
        self._path = path
        self._remote = remote

    def publish(self, checkpoint: bytes) -> AnchorReceipt:
        self._git("rev-parse", "--is-inside-work-tree")
        place = place_of(checkpoint)
        try:
            _, kept = deposit(self._path, checkpoint)
        except OSError as error:
            raise AnchorError(f"{self._path} cannot be written to: {error}") from error
        self._commit(place, checkpoint)
        if self._remote:
            self._git("push", self._remote, "HEAD")
        commit = self._git("log", "-1", "--format=%H", "--", place).decode().strip()
        where = f"{self._remote or self._path} {commit}"
        return AnchorReceipt(self.name, self.kind, datetime.now(UTC), kept, where)

    def verify(self, receipt: AnchorReceipt) -> None:
        """The commit must still be part of the history, here and, where there is one, at the remote."""
        commit = receipt.where.rpartition(" ")[2]
        reference = "HEAD"
        if self._remote:
            self._git("fetch", "--quiet", self._remote, "HEAD")
            reference = "FETCH_HEAD"
        self._git("merge-base", "--is-ancestor", commit, reference)
        place = place_of(receipt.checkpoint)
        kept = self._git("show", f"{reference}:{place}")
        agreed(kept, receipt.checkpoint, f"{self._path}, {place}")

    def held(self, origin: str) -> Iterator[bytes]:
        """Every version of every checkpoint that the history has: one that was replaced later, too."""
        folder = folder_of(origin)
        words = ("--all", "--reverse", "--format=", "--raw", "--no-abbrev", "--", folder)
        listed = self._git("log", *words)
        blobs = dict.fromkeys(line.split()[3] for line in listed.splitlines() if line)
        kept = [blob for blob in blobs if blob.strip(b"0")]  # a deletion leads to no blob
        if kept:
            yield from _contents(self._git("cat-file", "--batch", given=b"\n".join(kept)))

    def _commit(self, place: str, checkpoint: bytes) -> None:
        """Put the file on record, unless it is; one that is there already is not replaced by another one."""
        self._git("add", "--force", "--", place)
        state = self._git("status", "--porcelain", "--", place)
        if state.startswith(b"M"):
            kept = self._git("show", f"HEAD:{place}")
            agreed(kept, checkpoint, f"{self._path}, {place}, as committed")
        if state:
            known = head(checkpoint)
            message = f"Checkpoint {known.size} of {known.origin}"
            self._git("commit", "--quiet", "--message", message, "--", place)

    def _git(self, *words: str, given: bytes = b"") -> bytes:
        """Run git, which asks nothing of anybody; returns what it says."""
        try:
            ran = subprocess.run(  # noqa: S603 - no shell, and no word that an origin could become an option of
                ["git", "-C", str(self._path), *words],  # noqa: S607 - whichever git the operator uses
                env=_environment(),
                input=given,
                capture_output=True,
                timeout=_PATIENCE,
                check=True,
            )
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip()
            raise AnchorError(f"git {words[0]} failed in {self._path}: {said}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise AnchorError(
                f"git {words[0]} could not be run in {self._path}: {error}"
            ) from error
        return ran.stdout


def _contents(batch: bytes) -> Iterator[bytes]:
    """What `git cat-file --batch` says of objects: for each a line that ends with its size, its bytes, a new line."""
    at = 0
    while at < len(batch):
        begin = batch.index(b"\n", at) + 1
        end = begin + int(batch[at:begin].split()[-1])
        yield batch[begin:end]
        at = end + 1


def _environment() -> dict[str, str]:
    """That of the process, but for what would lead git to another repository, as within a hook of one."""
    elsewhere = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    kept = {name: value for name, value in os.environ.items() if name not in elsewhere}
    return kept | _WHO | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
