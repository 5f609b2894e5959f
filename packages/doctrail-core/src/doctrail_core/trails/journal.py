"""The writing end of the trail store."""

from doctrail_core.durable.faults import Faults
from doctrail_core.durable.home import Home
from doctrail_core.durable.journal import Journal
from doctrail_core.model import Assessment, Diagnosis, Trail
from doctrail_core.trails import findings
from doctrail_core.trails.codec import encode, in_session, prepare
from doctrail_core.trails.place import TrailPlace

__all__ = ["TrailJournal"]


class TrailJournal(Journal):
    """Appends finished trails."""

    def __init__(self, home: Home, faults: Faults, *, strict: bool = False) -> None:
        prepare()
        findings.prepare()
        super().__init__(home, "trails", TrailPlace(home), faults, strict=strict)

    def append(self, trail: Trail) -> None:
        """Keep the trail.

        Raises:
            OSError: It could not be written.
        """
        self._put(encode(trail))

    def append_assessment(self, assessment: Assessment) -> None:
        """Keep what a verifier found about a response.

        Raises:
            OSError: It could not be written.
        """
        self._put(findings.encode_assessment(assessment))

    def append_diagnosis(self, diagnosis: Diagnosis) -> None:
        """Keep whose fault a response was.

        Raises:
            OSError: It could not be written.
        """
        self._put(findings.encode_diagnosis(diagnosis))

    def others_wait_with(self, session_id: str) -> bool:
        """Whether other processes have trails of the session that are not in the database yet."""
        return self._spool.others_hold(in_session(session_id))
