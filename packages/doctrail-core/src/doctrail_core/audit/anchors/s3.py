"""An anchor that is a bucket of an S3-compatible store, kept under Object Lock where the store has it.

In an account of somebody else, or locked in compliance mode, what lies there cannot be removed by the operator
before the retention ends, not even with the account's own keys.
"""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from importlib import import_module
from typing import Any, Literal, Protocol, cast, get_args

from doctrail_core.audit.anchors.anchor import (
    AnchorError,
    AnchorReceipt,
    agreed,
    folder_of,
    place_of,
)

__all__ = ["LOCK_MODES", "LockMode", "S3Anchor"]

LockMode = Literal["COMPLIANCE", "GOVERNANCE"]
"""In `GOVERNANCE`, a privileged user of the account may still delete."""

LOCK_MODES: tuple[LockMode, ...] = get_args(LockMode)

_CONNECT, _READ, _ATTEMPTS = 10, 30, 3
_ABSENT = ("NoSuchKey", "NoSuchVersion", "404")
_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")


class _Client(Protocol):
    """What is used of boto3's client, which comes without types."""

    def put_object(self, **what: Any) -> Mapping[str, Any]: ...
    def get_object(self, **what: Any) -> Mapping[str, Any]: ...
    def head_object(self, **what: Any) -> Mapping[str, Any]: ...
    def get_paginator(self, operation: str, /) -> Any: ...


class S3Anchor:
    """Puts checkpoints into a bucket. Credentials are found as every program that uses boto3 finds them."""

    kind = "s3"

    def __init__(
        self,
        name: str,
        bucket: str,
        *,
        prefix: str = "",
        endpoint: str | None = None,
        retain_days: int | None = None,
        mode: LockMode = "COMPLIANCE",
    ) -> None:
        self.name = name
        self._bucket = bucket
        self._prefix = prefix
        self._endpoint = endpoint
        self._retain_days = retain_days
        self._mode = mode

    def publish(self, checkpoint: bytes) -> AnchorReceipt:
        key = self._prefix + place_of(checkpoint)
        now = datetime.now(UTC)
        kept = self._kept(key)
        if kept is None:
            self._put(key, checkpoint, now)
            kept = self._kept(key) or b""
        agreed(kept, checkpoint, self._where(key))
        return AnchorReceipt(self.name, self.kind, now, kept, self._where(key))

    def verify(self, receipt: AnchorReceipt) -> None:
        key = self._prefix + place_of(receipt.checkpoint)
        kept = self._kept(key)
        if kept is None:
            raise AnchorError(f"{self._where(key)} was written and is not there any more")
        agreed(kept, receipt.checkpoint, self._where(key))
        if self._retain_days is not None:
            self._look_at_lock(key, receipt.time + timedelta(days=self._retain_days))

    def held(self, origin: str) -> Iterator[bytes]:
        """Every version of every checkpoint: one that was replaced later, too."""
        for key, version in self._versions(self._prefix + folder_of(origin)):
            with self._told():
                body = self._body(Key=key, VersionId=version)
            yield body

    def _put(self, key: str, checkpoint: bytes, now: datetime) -> None:
        """Write it unless something lies there already."""
        what: dict[str, Any] = {"Body": checkpoint, "ContentType": "text/plain; charset=utf-8"}
        if self._retain_days is not None:
            until = now + timedelta(days=self._retain_days)
            what |= {"ObjectLockMode": self._mode, "ObjectLockRetainUntilDate": until}
        with self._told(unless=_TAKEN):
            self._client.put_object(Bucket=self._bucket, Key=key, IfNoneMatch="*", **what)

    def _kept(self, key: str) -> bytes | None:
        with self._told(unless=_ABSENT):
            return self._body(Key=key)
        return None

    def _body(self, **what: str) -> bytes:
        return cast("bytes", self._client.get_object(Bucket=self._bucket, **what)["Body"].read())

    def _look_at_lock(self, key: str, until: datetime) -> None:
        with self._told():
            known = self._client.head_object(Bucket=self._bucket, Key=key)
        locked: datetime | None = known.get("ObjectLockRetainUntilDate")
        second = timedelta(seconds=1)  # of which the store keeps whole ones
        if known.get("ObjectLockMode") != self._mode or not locked or locked < until - second:
            raise AnchorError(
                f"{self._where(key)} is not locked in {self._mode} until {until:%Y-%m-%d}: the bucket needs"
                " Object Lock, which most stores only allow when it is made"
            )

    def _versions(self, prefix: str) -> list[tuple[str, str]]:
        """Of all checkpoints, by size, each from its first version on."""
        found: list[tuple[str, datetime, str]] = []
        with self._told():
            pages = self._client.get_paginator("list_object_versions")
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
                found += [
                    (each["Key"], each["LastModified"], each["VersionId"])
                    for each in page.get("Versions", ())
                ]
        return [(key, version) for key, _, version in sorted(found)]

    def _where(self, key: str) -> str:
        return f"s3://{self._bucket}/{key}"

    @cached_property
    def _client(self) -> _Client:
        boto3, config, _ = _libraries()
        retries = {"max_attempts": _ATTEMPTS}
        patience = config.Config(connect_timeout=_CONNECT, read_timeout=_READ, retries=retries)
        return boto3.client("s3", endpoint_url=self._endpoint, config=patience)

    @contextmanager
    def _told(self, unless: tuple[str, ...] = ()) -> Generator[None]:
        """Say in words what the store refused; of these codes, nothing."""
        _, _, exceptions = _libraries()
        try:
            yield
        except exceptions.ClientError as error:
            if error.response.get("Error", {}).get("Code") not in unless:
                raise AnchorError(f"bucket {self._bucket} of {self.name}: {error}") from error
        except exceptions.BotoCoreError as error:
            raise AnchorError(f"bucket {self._bucket} of {self.name}: {error}") from error


def _libraries() -> tuple[Any, Any, Any]:
    """boto3 and what is used of botocore; neither has types."""
    try:
        return (
            import_module("boto3"),
            import_module("botocore.config"),
            import_module("botocore.exceptions"),
        )
    except ImportError as error:
        raise AnchorError(
            f"anchors in S3 need boto3: pip install 'doctrail-core[s3]' ({error})"
        ) from error
