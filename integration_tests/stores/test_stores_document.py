"""The tables of docs/stores.md are what the tests of the stores assert."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from stores import langchain_shelves, llama_index_shelves
from stores.corpus import written

DOCUMENT = Path(__file__).parents[2] / "docs" / "stores.md"

pytestmark = pytest.mark.filterwarnings(
    "ignore:Passing a list to DataFrame.from_dict is deprecated",
    "ignore:table_names\\(\\) is deprecated",
)


def table(rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def langchain_row(name: str) -> tuple[str, ...]:
    with langchain_shelves.SHELVES[name]() as shelf:
        return (
            name,
            written(shelf.metric),
            shelf.kind,
            "none" if name in langchain_shelves.WITHOUT_THRESHOLD else shelf.threshold_kind,
            "given" if shelf.tells_ids else "derived",
            "ignored" if shelf.condition is None else "taken",
        )


def llama_index_row(name: str) -> tuple[str, ...]:
    with llama_index_shelves.SHELVES[name]() as shelf:
        refused = name in llama_index_shelves.WITHOUT_FILTERS
        return (name, written(shelf.metric), shelf.kind, "refused" if refused else "taken")


@pytest.mark.parametrize(
    ("shelves", "row"),
    [
        (langchain_shelves.SHELVES, langchain_row),
        (llama_index_shelves.SHELVES, llama_index_row),
    ],
)
def test_the_table_tells_what_the_stores_do(shelves, row):
    assert table(map(row, shelves)) in DOCUMENT.read_text()
