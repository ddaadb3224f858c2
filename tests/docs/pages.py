"""The pages of the docs as data: their blocks of code, their links, their headings. Pure.

A block says in its info string how it is tested: `docs/development.md` has the table.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
AROUND = [
    *(PROJECT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    PROJECT / "deploy" / "README.md",
    *sorted((PROJECT / ".github").rglob("*.md")),
]

FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```\s*$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.*?)\s*$", re.MULTILINE)
INLINE_CODE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, the words and `name=value`s behind it, and its text."""

    page: Path
    line: int
    language: str
    options: dict[str, str]
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(PROJECT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    written = page.read_text(encoding="utf-8")
    return [_block(page, written, found) for found in FENCE.finditer(written)]


def _block(page: Path, written: str, found: re.Match[str]) -> Block:
    language, *words = shlex.split(found["info"]) or [""]
    options = {name: value for name, _, value in (word.partition("=") for word in words)}
    text = re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
    return Block(page, written.count("\n", 0, found.start()) + 1, language, options, text)


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    """Where its relative links lead."""
    found = LINK.findall(INLINE_CODE.sub("", prose(page)))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors(page: Path) -> set[str]:
    """The names under which its headings can be linked to, as GitHub makes them."""
    made: set[str] = set()
    for heading in HEADING.findall(prose(page)):
        plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        again = sum(1 for one in made if re.fullmatch(rf"{re.escape(plain)}(-\d+)?", one))
        made.add(f"{plain}-{again}" if again else plain)
    return made


def quoted(page: Path) -> list[str]:
    """What its prose has in backticks."""
    return INLINE_CODE.findall(prose(page))


BLOCKS = [block for page in PAGES for block in blocks(page)]


def of(language: str) -> list[Block]:
    """Every block in this language that is run."""
    return [one for one in BLOCKS if one.language == language and "no-run" not in one.options]
