"""The JSON form of a trail. Its keys are documented in the README and stay."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from doctrail_core import Trail

__all__ = ["trail_form"]


def trail_form(trail: "Trail") -> dict[str, Any]:
    """All fields of the trail, and the documents, models and pathologies that follow from them."""
    from doctrail_core.graph import pathologies

    documents = [
        {
            "document_id": document.document_id,
            "grade": document.grade,
            "involvement": document.involvement,
            "chunk_ids": [chunk.chunk_id for chunk in document.chunks],
        }
        for document in trail.documents
    ]
    return {
        **asdict(trail),
        "documents": documents,
        "models": list(trail.models),
        "involvements": dict(sorted(trail.involvements.items())),
        "pathologies": [asdict(pathology) for pathology in pathologies(trail)],
    }
