"""Reports to test with, made up: nine loaders, 66 cases, every verdict. Nobody was run, and nothing here is a finding.

``python -m conformance.tests.sample_reports DIR`` writes them, and everything that is made of them, to look at.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.reports import findings, junit, markdown_report, matrix_markdown, page, parse_report
from conformance.tests.sample_data import CASES, LOADED, SAMPLES, SEVERITIES, SOURCES, TRANSCRIPTS, Sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.reports import Report

#: The verdicts, written once more: what the tests expect does not come from the code.
VERDICTS = (
    "wrong_values", "crash", "hang", "over_limit", "accepts_invalid", "rejects_valid", "wrong_reason", "not_claimed",
    "known_failure", "pass", "adapter_error", "suite_error",
)  # fmt: skip


def case_facts() -> list[dict[str, Any]]:
    """The facts of the 66 cases, as a report states them."""
    return [_facts(area, line, number) for area, text in CASES.items() for number, line in enumerate(_rows(text))]


def _rows(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


def _facts(area: str, line: str, number: int) -> dict[str, Any]:
    slug, title, *reasons = (part.strip() for part in line.split("|"))
    text, url = SOURCES[area]
    first = _rows(CASES[area])[0].split("|")[0].strip()
    return {
        "id": f"{area}/{slug.lstrip('-')}",
        "level": "container" if area == "limits" else area,
        "clause": f"{area}.{'refusal' if reasons else 'values'}",
        "severity": SEVERITIES[number % 5],
        "flags": ["Nondeterministic"] if "stale" in slug else [],
        "title": title,
        "expected": f"refused ({reasons[0]})" if reasons else "the tensors as stored",
        "source": {"text": text, "url": url},
        "sibling": f"{area}/{first}" if reasons else f"{area}/{_refused(area)}",
    }


def _refused(area: str) -> str:
    slugs = [line.split("|")[0].strip() for line in _rows(CASES[area])]
    return next((slug[1:] for slug in slugs if slug.startswith("-")), slugs[-1])


def case_line(facts: Mapping[str, Any], sample: Sample) -> dict[str, Any]:
    """The line of one case on one loader."""
    refused = facts["expected"].startswith("refused")
    done = f"refused with Error: {facts['expected'][9:-1]}" if refused else "gave 3 tensors"
    verdict, detail = sample.wrong.get(facts["id"], ("pass", ""))
    if facts["id"].partition("/")[0] not in sample.levels:
        verdict, detail, done = "not_claimed", "", ""
    known = facts["id"] in sample.known
    return {
        "type": "case",
        **facts,
        "expected": "" if verdict == "not_claimed" else facts["expected"],
        "verdict": "known_failure" if known else verdict,
        "detail": detail,
        "observed": "gave 3 tensors" if verdict in {"accepts_invalid", "wrong_values"} else detail or done,
        "transcript": TRANSCRIPTS.get(verdict, ""),
        "failed_as": verdict if known else None,
        "known": "the loader does not read AWQ without its own kernels" if known else None,
        "reproduce": f"python -m conformance run --loader {sample.name} --select '{facts['id']}'",
        "notices": ["opened a socket to port 443"] if verdict == "hang" else [],
        "seconds": 0.012,
    }


def report_lines(sample: Sample, facts: Sequence[Mapping[str, Any]] | None = None) -> list[dict[str, Any]]:
    """The lines of a whole report: header, cases, footer. A test may change them before it spells them."""
    cases = [case_line(each, sample) for each in (case_facts() if facts is None else facts)]
    header = {
        "type": "header",
        "schema": 1,
        "suite": "0.1.0",
        "corpus": "9f2c4e61ab07d358",
        "loader": {
            "name": sample.name,
            "version": sample.version,
            "language": "python",
            "claims": ["dtype:BF16", "sharded"],
            "levels": list(sample.levels),
            "packages": {"numpy": "2.3.5", "torch": "2.13.0"},
        },
        "cases": len(cases),
        "select": [],
        "started": "2026-11-25T04:12:00+00:00",
    }
    return [header, *cases, footer(cases)]


def footer(cases: Sequence[Mapping[str, Any]], **changes: Any) -> dict[str, Any]:
    """The footer that balances the lines of cases."""
    found = Counter(case["verdict"] for case in cases)
    bad = set(found) - {"pass", "not_claimed"}
    content = "pass" in found and not bad - {"known_failure"}
    status = 4 if "suite_error" in bad else 3 if "adapter_error" in bad else int(not content)
    counts = {verdict: found[verdict] for verdict in VERDICTS}
    whole = {
        "planned": len(cases),
        "counts": counts,
        "conformant": content and not bad,
        "partial": False,
        "exit": status,
        "seconds": 1.25,
    }
    return {"type": "footer", **whole, **changes}


def spell(lines: Sequence[Mapping[str, Any]]) -> str:
    """The text of a report."""
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def sample(name: str) -> Sample:
    """The sample of a name."""
    return next(sample for sample in SAMPLES if sample.name == name)


def report(sample: Sample) -> Report:
    """The report of one sample."""
    return parse_report(spell(report_lines(sample)), f"{sample.name}.jsonl")


def reports() -> tuple[Report, ...]:
    """The reports of all samples. The one of tinygrad is partial: it ends after 40 cases."""
    return tuple(cut_short(each, 40) if each.name == "tinygrad" else report(each) for each in SAMPLES)


def cut_short(sample: Sample, kept: int) -> Report:
    """The report of a run that was ended after some cases."""
    header, *cases, _ = report_lines(sample)
    end = footer(cases[:kept], planned=len(cases), partial=True, conformant=False, exit=1)
    return parse_report(spell([header, *cases[:kept], end]), f"{sample.name}.jsonl")


def many(loaders: int, cases: int) -> tuple[Report, ...]:
    """Reports of many loaders over many cases, each loader wrong elsewhere."""
    base = case_facts()
    facts = [{**base[number % 66], "id": f"{base[number % 66]['id']}-{number}"} for number in range(cases)]
    wrong = [{each["id"]: LOADED for each in facts[number :: 17 + number]} for number in range(loaders)]
    samples = [Sample(f"loader-{number}", "1.0", tuple(CASES), bad) for number, bad in enumerate(wrong)]
    return tuple(parse_report(spell(report_lines(each, facts)), each.name) for each in samples)


def hostile(text: str) -> Report:
    """A report of one case that has a text in each of its places, as a loader and a corpus could put it there."""
    header, case, _ = report_lines(sample("mlx"), case_facts()[:1])
    words = (
        "title",
        "detail",
        "expected",
        "observed",
        "transcript",
        "reproduce",
        "clause",
        "severity",
        "sibling",
        "level",
    )
    case |= {**dict.fromkeys(words, text), "flags": [text], "notices": [text], "id": f"a/{text}"}
    case |= {"source": {"text": text, "url": text}, "verdict": "known_failure", "failed_as": "crash", "known": text}
    named = {"name": text, "version": text, "language": text, "claims": [text], "packages": {text: text}}
    header |= {"suite": text, "started": text, "select": [text], "loader": {**header["loader"], **named}}
    return parse_report(spell([header, case, footer([case])]), "hostile")


def main(directory: Path) -> None:
    """Writes the sample reports, and what is made of them."""
    directory.mkdir(parents=True, exist_ok=True)
    every = reports()
    for each in SAMPLES:
        (directory / f"{each.name}.jsonl").write_text(spell(report_lines(each)), encoding="utf-8")
    made = {
        "page.html": page(every),
        "one.html": page(every[2:3]),
        "many.html": page(many(20, 500)),
        "matrix.md": matrix_markdown(every),
        "findings.md": findings(every),
        "report.md": markdown_report(every[2]),
        "report.xml": junit(every[2]),
    }
    for name, text in made.items():
        (directory / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{directory / name}: {len(text)} characters\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
