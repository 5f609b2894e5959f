"""Write a labelled set as lines that `doctrail grounding fit` learns from.

python benchmarks/grounding_labels.py tofueval --part dev report > labels.jsonl
"""

import argparse
import json
from pathlib import Path
from typing import Any

from grounding_data import DATA, SETS, Example


def line(example: Example) -> dict[str, Any]:
    """The example, with the labels of its parts where it has some, else that of the whole."""
    told: dict[str, Any] = {
        "id": example.id,
        "group": example.group,
        "question": example.question,
        "answer": example.answer,
        "chunks": [
            {"chunk_id": each.chunk_id, "document_id": each.document_id, "text": each.text}
            for each in example.passages
        ],
    }
    if example.labels:
        parts = (each for each in example.labels if each.start < each.end)
        return told | {
            "labels": [
                {"start": each.start, "end": each.end, "grounded": each.label == "grounded"}
                for each in parts
            ]
        }
    return told | {"label": "grounded" if example.grounded else "ungrounded"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--data", type=Path, default=DATA, help="the folder that holds the sets")
    parser.add_argument("--part", nargs="+", choices=("dev", "report"), default=["dev"])
    chosen = parser.parse_args()
    for part in chosen.part:
        for example in SETS[chosen.set](part, chosen.data):
            print(json.dumps(line(example)))


if __name__ == "__main__":
    main()
