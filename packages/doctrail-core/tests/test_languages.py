"""English is told from other languages by its small words, and not guessed where there are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail_core.text.languages import is_english


@pytest.mark.parametrize(
    "text",
    [
        "The contract renewal deadline is February 28th.",
        "Each party shall keep it secret.",
        "Where is the office?",
        "Smith et al. have shown that this is de facto true.",
        "Teams from Los Angeles and La Paz met in El Paso.",
    ],
)
def test_english_is_english(text: str):
    assert is_english(text) is True


@pytest.mark.parametrize(
    "text",
    [
        "Die Frist für die Verlängerung des Vertrags ist der 28. Februar.",
        "Was ist die Hauptstadt von Frankreich?",
        "La fecha límite para la renovación del contrato es el 28 de febrero.",
        "La date limite de renouvellement du contrat est le 28 février.",
        "Il termine di rinnovo della polizza è il 28 febbraio.",
        "O prazo de renovação do contrato não mudou com a lei.",
        "De termijn voor het verlengen van het contract is niet bekend.",
        "Срок продления договора истекает двадцать восьмого февраля.",
        "契約の更新期限は二月二十八日です。 これは 文 です。",
    ],
)
def test_other_languages_are_not(text: str):
    assert is_english(text) is False


@pytest.mark.parametrize(
    "text", ["", "Yes", "Tesla Inc.", "NON-DISCLOSURE AGREEMENT", "Widget 42 EUR", "12 34 56"]
)
def test_what_has_no_small_words_cannot_be_told(text: str):
    assert is_english(text) is None


@given(st.text())
def test_any_text_has_an_answer(text: str):
    assert is_english(text) in {True, False, None}
