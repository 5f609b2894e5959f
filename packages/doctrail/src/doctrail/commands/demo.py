"""`doctrail demo`: answers over real contracts, two of them wrong, and how to find out why."""

import os
from argparse import ArgumentParser, Namespace
from contextlib import closing
from typing import TYPE_CHECKING

from doctrail import exit_codes
from doctrail.errors import UsageError
from doctrail.installation import home_of
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doctrail.demo.story import Scene, Stage
    from doctrail_core import Trail

NAME = "demo"
SUMMARY = "answers over real contracts, two of them wrong, and where they came from"
DESCRIPTION = """\
Asks questions about real contracts through LangChain and LlamaIndex, offline, and shows for each
answer where it came from. Two answers are wrong, for reasons that happen. Needs doctrail[demo].

DOCTRAIL_DEMO_MODEL=openai:MODEL, anthropic:MODEL or ollama:MODEL answers with a real model, through
the frameworks' own integrations. Otherwise a reader of ours picks sentences; it is no language model."""
EXAMPLE = "doctrail demo --home /tmp/doctrail-demo"

_RULE = "=" * 100


def add_arguments(parser: ArgumentParser) -> None:
    """Nothing: the demo has no arguments of its own."""
    del parser


def run(options: Namespace, terminal: Terminal) -> int:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the frameworks' own; they would spoil the story
        with closing(_stage(options)) as stage:
            if not options.json:
                terminal.say(_OPENING.format(model=stage.model, home=home_of(options)))
            trails = [_played(scene, options, terminal) for scene in stage.scenes()]
    if not options.json:
        terminal.say(_closing_words(trails, options))
    return exit_codes.OK


_OPENING = """\
16 real contracts (ContractNLI, CC BY 4.0), split and indexed by LangChain and by LlamaIndex.
Questions about them are answered by: {model}
What doctrail records of it lies in: {home}"""


def _stage(options: Namespace) -> "Stage":
    from doctrail.demo.wanted import wanted_model
    from doctrail_core.capture.settings import Settings
    from doctrail_core.durable.home import Home

    wanted = wanted_model(os.environ.get("DOCTRAIL_DEMO_MODEL"))
    Home(home_of(options)).ensure()  # a demo that records nothing would point at commands in vain
    try:
        from doctrail.demo.story import Stage
    except ModuleNotFoundError as error:
        raise UsageError(f"the demo needs {error.name}: pip install 'doctrail[demo]'") from error
    return Stage(Settings.load(home=options.home), wanted)


def _played(scene: "Scene", options: Namespace, terminal: Terminal) -> "Trail":
    from textwrap import fill

    from doctrail.forms import trail_form
    from doctrail_core.model.why import explain

    if options.json:
        trail = scene.play()
        terminal.data(trail_form(trail))
        return trail
    terminal.say(f"\n{_RULE}\n{scene.title}\n{fill(scene.remark, 100)}\n{_RULE}")
    trail = scene.play()
    terminal.say(explain(trail).rstrip("\n"))
    return trail


def _closing_words(trails: "Sequence[Trail]", options: Namespace) -> str:
    import shlex

    home = f" --home {shlex.quote(options.home)}" if options.home else ""
    doctrail = _as_called()
    wrong = trails[-1]
    document = wrong.documents[0].document_id
    return f"""\
{_RULE}
What to try next
  The wrong answer again, with every text uncut:
    {doctrail} why {wrong.response_id} --full{home}
  Whose fault it was, and what to do:
    {doctrail} diagnose {wrong.response_id} --expected 'July 26, 2002'{home}
  Which answers had the contract that it contradicts:
    {doctrail} affected --document {document}{home}
  Find the other wrong answer by what was said in it:
    {doctrail} responses --phrase 'five (5) days'{home}
"""


def _as_called() -> str:
    """The program's name, with its path where the shell would not find it."""
    import shlex
    import shutil
    import sys

    found = shutil.which("doctrail")
    if found or not sys.argv[0].endswith("doctrail"):
        return "doctrail"
    return shlex.quote(sys.argv[0])
