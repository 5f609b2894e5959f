"""An anchor that is a time-stamp authority (RFC 3161): it says when a checkpoint existed.

A token proves time, not uniqueness: the operator can have two forks stamped. It keeps no copy either, so
what is verified is the token itself, against certificates that were chosen beforehand.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from doctrail_core.audit.anchors.anchor import AnchorError, AnchorReceipt
from doctrail_core.audit.anchors.http import post

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from rfc3161_client import TimeStampRequest, TimeStampResponse

__all__ = ["Rfc3161Anchor"]

_OK = 200


class Rfc3161Anchor:
    """Has checkpoints stamped.

    Args:
        name: What it is called.
        url: Where the authority takes requests.
        roots: A PEM file with the certificates that its own must be signed by.
        certificate: A PEM file with its own certificate, for an authority whose replies cannot be read with
            certificates in them; they are left out then.
    """

    kind = "rfc3161"

    def __init__(
        self, name: str, url: str, *, roots: Path, certificate: Path | None = None
    ) -> None:
        self.name = name
        self._url = url
        self._roots_file = roots
        self._certificate_file = certificate

    def publish(self, checkpoint: bytes) -> AnchorReceipt:
        request = self._request(checkpoint)
        answer = post(self._url, request.as_bytes(), "application/timestamp-query")
        if answer.status != _OK:
            raise AnchorError(f"{self._url} refused to stamp: {answer.said}")
        token = self._checked(answer.body, checkpoint, nonce=request.nonce)
        return AnchorReceipt(
            self.name, self.kind, token.tst_info.gen_time, checkpoint, self._url, answer.body
        )

    def verify(self, receipt: AnchorReceipt) -> None:
        token = self._checked(receipt.evidence, receipt.checkpoint)
        if token.tst_info.gen_time != receipt.time:
            raise AnchorError(
                f"the token of {self._url} is of {token.tst_info.gen_time}, the receipt of {receipt.time}"
            )

    def held(self, origin: str) -> Iterator[bytes]:  # noqa: ARG002 - it keeps none
        return iter(())

    def _request(self, checkpoint: bytes) -> "TimeStampRequest":
        try:
            from rfc3161_client import TimestampRequestBuilder
            from rfc3161_client.base import HashAlgorithm
        except ImportError as error:
            raise AnchorError(
                f"time stamps need rfc3161-client: pip install 'doctrail-core[timestamp]' ({error})"
            ) from error
        return TimestampRequestBuilder(
            data=checkpoint,
            hash_algorithm=HashAlgorithm.SHA256,
            nonce=True,
            cert_req=self._certificate_file is None,
        ).build()

    def _checked(
        self, reply: bytes, checkpoint: bytes, *, nonce: int | None = None
    ) -> "TimeStampResponse":
        from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

        try:
            token = decode_timestamp_response(reply)
        except ValueError as error:
            raise AnchorError(
                f"the reply of {self._url} cannot be read ({error}). Where it holds several certificates that are"
                " not sorted as DER demands, name the authority's own with `certificate`"
            ) from error
        verifier = VerifierBuilder(
            tsa_certificate=self._certificate, roots=list(self._roots), nonce=nonce
        ).build()
        try:
            verifier.verify_message(token, checkpoint)
        except VerificationError as error:
            raise AnchorError(f"the time stamp of {self._url} does not hold: {error}") from error
        return token

    @cached_property
    def _roots(self) -> "Sequence[Certificate]":
        return _certificates(self._roots_file)

    @cached_property
    def _certificate(self) -> "Certificate | None":
        return _certificates(self._certificate_file)[0] if self._certificate_file else None


def _certificates(path: Path) -> "Sequence[Certificate]":
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise AnchorError(f"{path} holds no certificates in PEM: {error}") from error
