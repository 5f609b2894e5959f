"""Texts of earlier turns in a prompt: found in whatever form, and never guessed."""

import json
import textwrap

import pytest

from doctrail_core.text.recognition import recognised, telling

NOTICE = (
    "Either party may end this agreement by giving ninety days written notice to the other. The notice"
    " must be sent by registered mail to the address named in section 2, and takes effect on the day on"
    " which it is received there. Fees that were paid for the time after that day are given back."
)
RENEWAL = "The contract renewal deadline for enterprise accounts is February 28th of each year."
OTHER = "Tell the user what our agreements say, in two sentences, and name the section."


def find(prompt, *texts, free=None, expected=()):
    """What was found, by the number of the text."""
    spans = [(0, len(prompt))] if free is None else free
    found = recognised(prompt, spans, texts, expected)
    return {str(n): found[text] for n, text in enumerate(texts) if text in found}


@pytest.mark.parametrize(
    "change",
    [
        str,
        lambda text: textwrap.fill(text, 40),
        lambda text: json.dumps({"text": text}),
        str.upper,
        lambda text: textwrap.indent(text, "> "),
    ],
    ids=["as it is", "re-wrapped", "JSON", "upper case", "quoted"],
)
@pytest.mark.parametrize("text", [NOTICE, RENEWAL], ids=["long", "short"])
def test_a_text_is_found_in_the_forms_that_prompts_give_it(change, text):
    prompt = f"{OTHER}\n\n{change(text)}\n\n{OTHER}"
    found = find(prompt, text, "something else that is not there at all, not a word of it")
    assert found.keys() == {"0"}
    assert (found["0"].state, round(found["0"].coverage)) == ("full", 1)
    (start, end), *_ = found["0"].spans
    assert "".join(text.split()[0]).lower() in prompt[start:end].lower()


def test_most_of_a_long_text_is_enough_and_half_of_it_is_not():
    assert find(f"{OTHER}\n{NOTICE[:250]}", NOTICE)["0"].state == "partial"
    assert find(f"{OTHER}\n{NOTICE[:140]}", NOTICE) == {}


def test_half_is_enough_of_a_text_that_somebody_says_is_there():
    prompt = f"{OTHER}\n{NOTICE[:140]}"
    assert find(prompt, NOTICE, expected=[NOTICE])["0"].state == "partial"
    assert find(OTHER, NOTICE, expected=[NOTICE]) == {}
    assert find(prompt, NOTICE, expected=[NOTICE], free=[]) == {}


def test_a_short_text_with_one_word_changed_is_another_text():
    assert find(f"{OTHER}\n{RENEWAL.replace('28th', '27th')}", RENEWAL) == {}


def test_what_is_accounted_for_is_not_given_to_another_text():
    """A neighbour with an overlap, as splitters make them, stands there only where it overlaps."""
    prompt = f"{NOTICE[:200]}{NOTICE[200:]}"
    neighbour = f"{NOTICE[100:]} And so on, for many more words that are not in the prompt at all."
    assert find(prompt, neighbour, free=[]) == {}
    assert find(prompt, NOTICE, neighbour).keys() == {"0"}
    assert find(prompt, NOTICE, free=[(0, 150)]) == {}


def test_a_text_inside_of_a_longer_one_that_is_there_is_not_claimed():
    sentence = NOTICE.split(". ", maxsplit=1)[0] + "."
    assert find(f"{OTHER}\n{NOTICE}", NOTICE, sentence).keys() == {"0"}


def test_places_are_those_of_the_whole_prompt():
    prompt = f"{OTHER}\n\n{RENEWAL}\n\n{OTHER}\n\n{NOTICE}"
    free = [(len(OTHER) + 2, len(OTHER) + 2 + len(RENEWAL)), (prompt.index(NOTICE), len(prompt))]
    found = find(prompt, NOTICE, RENEWAL, free=free)
    assert [prompt[slice(*match.spans[0])] for match in found.values()] == [NOTICE, RENEWAL]


@pytest.mark.parametrize("text", ["Yes.", "February 28th", "a b c d e f", "", "1 2 3 4 5 6 7 8 9"])
def test_a_few_letters_tell_nothing(text):
    assert not telling(text)


def test_scripts_without_spaces_tell_by_their_characters():
    assert telling("企业账户的合同续签截止日期是每年二月二十八日请提前通知")
