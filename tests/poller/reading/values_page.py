"""The tables of `docs/values.md`, made of the cases that the tests insert. To write them again:

.venv/bin/python -m tests.poller.reading.values_page
"""

import json
import re
from pathlib import Path

from tests.poller.reading.value_cases import DATABASES, Case

PAGE = Path(__file__).parents[3] / "docs" / "values.md"
LONGEST_EXAMPLE = 64


def page() -> str:
    """The whole page, with a table for each database after the comment that names it."""
    text = PAGE.read_text()
    for database, cases in DATABASES.items():
        place = re.compile(rf"(<!-- {database}, [^\n]*-->\n\n)(?:\|[^\n]*\n)*")
        table = "".join(f"{line}\n" for line in _table(cases))
        found = place.search(text)
        assert found is not None, f"{PAGE} has no place for {database}"
        text = f"{text[: found.start()]}{found[1]}{table}{text[found.end() :]}"
    return text


def _table(cases: list[Case]) -> list[str]:
    head = ["| type | in the stream | such as |", "|---|---|---|"]
    return [*head, *(f"| {_cell(c.type)} | {c.form} | {_examples(c)} |" for c in cases)]


def _examples(case: Case) -> str:
    shown = []
    for literal, value in case.values.items():
        written = json.dumps(value, ensure_ascii=False)
        if len(literal) + len(written) <= LONGEST_EXAMPLE and literal != "DEFAULT":
            shown.append(f"{_code(literal)} → {_code(written)}")
    return ", ".join(shown[:3])


def _code(text: str) -> str:
    return f"`{_cell(text)}`"


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page())
