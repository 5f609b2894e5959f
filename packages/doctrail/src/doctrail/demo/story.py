"""The scenes of the demo: five questions, three good answers, and two that went wrong."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from doctrail.demo.corpus import contracts
from doctrail.demo.langchain_app import LangChainApp
from doctrail.demo.llamaindex_app import LlamaIndexApp
from doctrail.demo.models import configured, extractive, scripted
from doctrail.demo.wanted import Wanted
from doctrail.errors import UsageError
from doctrail_core import Grounding, Lineage, Settings, Trail, configure
from doctrail_core.diagnosis import diagnose

__all__ = ["Scene", "Stage"]

_DATE = "On what date did Big Sky and Mesaba Holdings enter into their agreement?"
_BUDGET = 1500
_MISSED = "Your assistant said five days. It was thirty. We missed it. "
_CUT = f"""\
This chain cuts its context at {_BUDGET:,} characters, and the chunk that says thirty days came in at \
rank 4: below, it is absent from the prompt. The search found it; the chain lost it. Every claim of the answer \
is supported by what the model read: only the diagnosis tells what it could not read."""
_WRONG = """\
Your assistant said July 6, 2002. It was July 26. We missed it. (The reader of this scene is a script \
that is wrong on purpose, whatever model is configured.) Below, the chunk with the date arrived in the \
prompt, whole, and the check of the answer says what it contradicts. The search and the prompt were \
right; the model did not keep to them."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One question, what is special about how it is asked, and how to ask it."""

    title: str
    remark: str
    question: str
    ask: Callable[[str], Trail | None]
    lineage: Lineage
    expected: str | None = None

    def play(self) -> Trail:
        """Ask the question, have the answer checked, and say whose fault it was where another was expected.

        Raises:
            UsageError: The model did not answer.
        """
        try:
            trail = self.ask(self.question)
        except Exception as error:
            raise UsageError(
                f"the model did not answer: {type(error).__name__}: {error}"
            ) from error
        if trail is None:
            raise UsageError("nothing was recorded of it; `doctrail doctor` may say why")
        self.lineage.flush()  # checks run in the background, after the answer was given
        if self.expected is not None:
            checked = self.lineage.get(trail.response_id) or trail
            self.lineage.diagnosed(diagnose(checked, expected=self.expected, by="demo"))
        return self.lineage.get(trail.response_id) or trail


class Stage:
    """What the scenes need: the lineage, the models, and both applications."""

    def __init__(self, settings: Settings, wanted: Wanted | None) -> None:
        """Split and index the contracts.

        Args:
            settings: Where to record.
            wanted: Who answers; None for the extractive reader.

        Raises:
            UsageError: That model cannot be used.
        """
        self._is_real = wanted is not None
        self._models = configured(wanted) if wanted else extractive()
        self._lineage = configure(settings, grounding=Grounding(sample_rate=1.0))
        self._langchain = LangChainApp(contracts(), self._lineage)
        self._llama_index = LlamaIndexApp(contracts(), self._lineage)

    @property
    def model(self) -> str:
        return self._models.name

    def close(self) -> None:
        """Have all that was recorded where other commands can read it."""
        self._lineage.flush()
        self._lineage.close()

    def scenes(self) -> Iterator[Scene]:
        """The scenes, in order."""
        chain = partial(self._langchain.ask, model=self._models.langchain)
        engine = partial(self._llama_index.ask, model=self._models.llama_index)
        liar = scripted("They entered into it on July 6, 2002.").llama_index
        yield Scene(
            "1 of 5. LangChain: retriever | format | prompt | model",
            "A question about a term. Below: the answer, and where it came from.",
            "When does the agreement with Euler Hermes expire?",
            chain,
            self._lineage,
        )
        yield Scene(
            "2 of 5. LangChain: a date",
            "One document has the date. Below: how it was told from the others, by score.",
            _DATE,
            chain,
            self._lineage,
        )
        yield Scene(
            "3 of 5. LangChain: the right chunk was found, and cut away",
            _CUT if self._is_real else _MISSED + _CUT,  # what a real model says is not known
            "How much notice does the HNBA need when a Board Member leaves the agreement early?",
            partial(chain, budget=_BUDGET),
            self._lineage,
            expected="thirty (30) days",
        )
        yield Scene(
            "4 of 5. LlamaIndex: RetrieverQueryEngine over BM25",
            "The same contracts in the other framework. Below: the same kind of trail.",
            "Under the laws of which State is the NostraData deed governed?",
            engine,
            self._lineage,
        )
        yield Scene(
            "5 of 5. LlamaIndex: the right chunk arrived, and the answer contradicts it",
            _WRONG,
            _DATE,
            partial(engine, model=liar),
            self._lineage,
            expected="July 26, 2002",
        )
