"""What docs/grounding.md shows of files and reasons is what there is."""

import json
import re
from pathlib import Path

from doctrail_core.grounding.lines import AnswerLine, form, read_answers
from doctrail_core.grounding.reasons import REASONS

PAGE = (Path(__file__).parent / "grounding.md").read_text(encoding="utf-8")


def test_every_reason_is_in_the_table_in_its_words():
    rows = re.findall(r"^\| \w+ \| `(\w+)` \| (.+) \|$", PAGE, re.MULTILINE)
    assert dict(rows) == dict(REASONS)


def test_the_answer_that_is_shown_is_checked_as_is_shown():
    given, found = re.findall(r"^```json\n(.+)\n```$", PAGE, re.MULTILINE)[:2]
    ((_, line),) = read_answers([given])
    assert isinstance(line, AnswerLine)
    assert told(json.loads(found)) == told(form(line.name, line.check()), of=json.loads(found))


def told(line, of=None):
    """What is shown of a line: the risk to two digits, and no keys but those of `of`."""
    shown = of or line
    claims = [
        {key: rounded(claim[key]) for key in wanted}
        for claim, wanted in zip(line["claims"], shown["claims"], strict=True)
    ]
    return {key: rounded(line[key]) for key in shown} | {"claims": claims}


def rounded(value):
    return round(value, 2) if isinstance(value, float) else value
