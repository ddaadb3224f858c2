"""What the docs show of a proxy's configuration is what deploy/ has, which tests/proxies/ runs."""

import re

import pytest

from tests.docs.pages import PROJECT, of

FILES = {
    "nginx": ("nginx.conf",),
    "caddyfile": ("Caddyfile",),
    "haproxy": ("haproxy.cfg", "haproxy-machines.cfg"),
    "apache": ("apache.conf",),
    "yaml": ("prometheus.yml",),
    "ini": ("rowcast.service",),
}
DEPLOY = PROJECT / "deploy"


def lines(text: str) -> list[str]:
    return [stripped for line in text.splitlines() if (stripped := line.strip())]


def is_part(shown: str, whole: str) -> bool:
    """Whether these lines are there, one after the other, whatever their indentation."""
    part, all_lines = lines(shown), lines(whole)
    starts = range(len(all_lines) - len(part) + 1)
    return any(all_lines[start : start + len(part)] == part for start in starts)


def test_a_part_is_told_from_what_is_none() -> None:
    whole = "server {\n    a;\n    b;\n}"
    assert is_part("a;\nb;", whole)
    assert not is_part("b;\na;", whole)
    assert not is_part("a;\n}", whole)


@pytest.mark.parametrize("language", FILES)
def test_the_docs_show_what_is_deployed(language: str) -> None:
    names = FILES[language]
    deployed = [(DEPLOY / name).read_text(encoding="utf-8") for name in names]
    blocks = of(language)
    assert blocks, f"the docs show nothing of {names}"
    for block in blocks:
        shown = any(is_part(block.text, whole) for whole in deployed)
        assert shown, f"{block}: not as in deploy/, in {names}"


def test_the_readme_shows_nginx_whole_but_for_its_own_server() -> None:
    """Whoever copies the block leaves nothing out that was tested."""
    (block,) = (one for one in of("nginx") if one.page == PROJECT / "README.md")
    deployed = lines((DEPLOY / "nginx.conf").read_text(encoding="utf-8"))
    begin = deployed.index(lines(block.text)[0])
    assert [*lines(block.text), "}"] == deployed[begin:]


def test_each_file_is_listed() -> None:
    listed = set(re.findall(r"\]\(([^)/]+)\)", (DEPLOY / "README.md").read_text(encoding="utf-8")))
    assert listed == {path.name for path in DEPLOY.iterdir()} - {"README.md"}
