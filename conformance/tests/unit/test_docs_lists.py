"""The lists on the pages of the documentation are whole, their links lead somewhere, and their commands exist."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from conformance.__main__ import main
from conformance.corpus.clauses import CLAUSES, NUMBERS
from conformance.corpus.flags import FLAGS
from conformance.engine.case import Call
from conformance.engine.claims import FEATURES, METHODS, Level
from conformance.engine.contract import FACTS, REPORTED, FullAdapter, RawTensor
from conformance.engine.performing import introduce, perform
from conformance.engine.reasons import Reason
from conformance.engine.requests import request
from conformance.engine.verdict import Exit, Verdict
from conformance.specification import plain
from conformance.tests import pages

if TYPE_CHECKING:
    from collections.abc import Mapping


def test_every_verdict_is_told_in_the_order_of_gravity() -> None:
    """The two tables of verdicts have each of them once, worst first."""
    told = [word for row in pages.table("verdicts.md", "verdict") for word in pages.words(row[0])]
    assert told == [verdict.value for verdict in Verdict]


def test_every_exit_status_is_told() -> None:
    """The table has each status of `Exit`, and no other."""
    statuses = [value for name, value in vars(Exit).items() if name.isupper()]
    assert [int(row[0]) for row in pages.table("verdicts.md", "status")] == statuses


def test_every_method_is_told_with_its_signature_and_level() -> None:
    """The table of the contract has each method of `FullAdapter` as one calls it, and its level."""
    methods = [each for name, each in vars(FullAdapter).items() if inspect.isfunction(each) and name[0] != "_"]
    rows = pages.table("adapter.md", "method", "level")
    levels = {method: level.value for level, method in METHODS.items()}
    wanted = {_signature(method): levels.get(method.__name__, "") for method in methods}
    assert {row[0].strip("`"): row[1].strip("`") for row in rows} == wanted


def _signature(method: Any) -> str:
    """A method as one calls it: ``load_weights(directory, dtype=None)``."""
    parameters = list(inspect.signature(method).parameters.values())[1:]
    texts = [each.name if each.default is each.empty else f"{each.name}={each.default}" for each in parameters]
    return f"{method.__name__}({', '.join(texts)})"


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        ("claim", FEATURES),
        ("code", [reason.value for reason in Reason]),
        ("list", REPORTED),
        ("fact", FACTS),
        ("attribute", ["name", "claims", "version", "language", "packages"]),
    ],
)
def test_the_page_of_the_adapter_has_whole_lists(head: str, wanted: Mapping[str, str] | list[str]) -> None:
    """Claims, reason codes, lists of the report, facts and attributes are those of the engine, in its order."""
    told = [word for row in pages.table("adapter.md", head) for word in pages.words(row[0])]
    assert told == list(wanted)


class _Refusing:
    name = "refusing"
    claims = frozenset[str]()

    def read_file(self, path: Path) -> dict[str, RawTensor]:
        raise ValueError(path)


class _Empty:
    def read_checkpoint(self, directory: Path) -> dict[str, RawTensor]:  # noqa: ARG002 - the contract
        return {"w": RawTensor("F32", (0,), b"")}

    def logits(self, directory: Path, input_ids: object) -> RawTensor:  # noqa: ARG002 - the contract
        return RawTensor("F32", (0,), b"")

    def describe(self, directory: Path) -> dict[str, int]:  # noqa: ARG002 - the contract
        return {"tensors": 0}

    def report(self, directory: Path) -> dict[str, list[str]]:  # noqa: ARG002 - the contract
        return {}


def _members() -> set[str]:
    """Every member of a message of the protocol, as the engine makes them."""
    requests = {level: {"id": 1, **request(level, Call(), Path("/"), [[1]])} for level in Level}
    refused = perform(_Refusing(), requests[Level.CONTAINER])
    tensors, logits, facts = (
        perform(_Empty(), requests[level]) for level in (Level.CHECKPOINT, Level.MODEL, Level.ANALYSIS)
    )
    broken = perform(_Empty(), requests[Level.WEIGHTS])
    messages = [introduce(_Refusing()), *requests.values(), refused, tensors, logits, facts, broken]
    inner = [refused["error"], tensors["tensors"]["w"], logits["logits"]]
    return {"hello"}.union(*messages, *inner)


def test_the_page_of_the_protocol_names_every_member() -> None:
    """Each member of a message, each fact, list, level, method and reason code stands on the page."""
    text = pages.page("protocol.md")
    wanted = {*_members(), *FACTS, *REPORTED, *METHODS.values(), *(each.value for each in (*Level, *Reason))}
    assert [word for word in sorted(wanted) if not re.search(rf"[`\"]{word}[`\"]", text)] == []


def _as_read(text: str) -> str:
    """A text without the signs of Markdown for code and for escapes."""
    return re.sub(r"[`\\]", "", text)


def test_the_generated_pages_have_every_entry() -> None:
    """Clauses and flags are those of the corpus, each with its text, and no mark is left."""
    clauses, flags = (_as_read(pages.generator().expand(pages.page(name))) for name in ("clauses.md", "flags.md"))
    rules = [
        f"\n### {each.id}\n\n**{NUMBERS[each.id]} {each.force}.** {_as_read(each.text)} (" for each in CLAUSES.values()
    ]
    meanings = [f"\n### {name}\n\n{_as_read(flag.meaning)}\n" for name, flag in FLAGS.items()]
    assert [each for each in rules if each not in clauses] == []
    assert [each for each in meanings if each not in flags] == []
    assert "generated:" not in clauses + flags


def test_a_text_of_the_corpus_is_no_markdown() -> None:
    """Its words with underscores are set as code, and its other signs are taken as they are."""
    assert plain("__metadata__ is <no> *map*") == r"`__metadata__` is \<no\> \*map\*"


def test_an_unknown_mark_is_an_error() -> None:
    """A page that asks for a part that is not there does not build."""
    with pytest.raises(KeyError, match="nothing"):
        pages.generator().expand("<!-- generated: nothing -->")


def test_every_choice_is_a_policy() -> None:
    """Each flag that names a choice is linked from the page of the policies: references disagree there."""
    choices = [name for name, flag in FLAGS.items() if flag.kind == "choice"]
    linked = set(pages.links("policies.md"))
    assert choices
    assert [name for name in choices if f"flags.md#{name.lower()}" not in linked] == []


@pytest.mark.parametrize("name", pages.NAMES)
def test_links_lead_somewhere(name: str) -> None:
    """Each relative link of a page names a page that is there, and a heading of it."""
    dead = []
    for target in pages.links(name):
        file, _, anchor = target.partition("#")
        if not (pages.DOCS / file).exists() or (anchor and anchor not in pages.anchors(file or name)):
            dead.append(target)
    assert dead == []


@pytest.mark.parametrize("name", [name for name in pages.NAMES if name != "index.md"])
def test_the_index_leads_to_each_page(name: str) -> None:
    """By its table, and by its tree."""
    assert name in pages.links("index.md")
    assert f"\n{name.removesuffix('.md')}\n" in pages.page("index.md")


@pytest.mark.parametrize("name", pages.NAMES)
def test_commands_exist(name: str) -> None:
    """Each ``python -m conformance`` on a page names a command and options that exist, with values that they take."""
    for words in pages.commands(name):
        context = click.Context(main)
        command = main.get_command(context, words[0])
        assert command is not None, words
        command.make_context(words[0], words[1:], parent=context)


def test_every_command_is_shown() -> None:
    """Each command of the command line is on some page."""
    told = {words[0] for name in pages.NAMES for words in pages.commands(name)}
    assert told == set(main.list_commands(click.Context(main)))


def test_options_of_pytest_exist(pytestconfig: pytest.Config) -> None:
    """Each ``pytest`` on a page can be parsed by pytest, with the options of the suite."""
    told = [words for name in pages.NAMES for words, _ in pages.shown(name) if words[0] == "pytest"]
    assert told
    for words in told:
        _, unknown = pytestconfig._parser.parse_known_and_unknown_args(words[1:])
        assert unknown == [], words
