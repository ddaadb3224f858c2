"""`rowcast probe`: what is between you and a stream? `poller/probing/` looks."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from poller.commands.layout import coloured, safe
from poller.commands.target import CTRL_C, NotDone

if TYPE_CHECKING:
    from poller.probing.finding import Finding
    from poller.probing.look import Asked

COLOURS = {"ok": "green", "attention": "yellow", "unknown": None}
MARK_WIDTH = max(map(len, COLOURS))
INDENT = " " * (MARK_WIDTH + 1)
LONGEST_S = 3600.0
VALUE = re.compile(r"[\t\x20-\x7e]*")
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
EXAMPLES = """\b
Examples:
  rowcast probe https://shop.example/stream/orders
  rowcast probe http://127.0.0.1:8000/stream --seconds 60
  rowcast probe https://api.example/events -H 'Authorization: Bearer …' \\
      --origin https://shop.example
"""
STATUS = """\b
Exit status:
  0    all is well, as far as it could be seen
  1    something needs attention
  2    nothing could be looked at: no connection, or the command is wrong
  130  ended by a second Ctrl-C; the first one only ends the look, and what was
       seen until then is told
"""


@click.command(
    epilog=f"{EXAMPLES}\n{STATUS}", short_help="Look at what is between you and a stream."
)
@click.argument("url")
@click.option(
    "--seconds",
    default=20.0,
    show_default=True,
    metavar="N",
    type=click.FloatRange(1, LONGEST_S),
    help="How long to look. A heartbeat or a time-out that is rarer cannot be seen.",
)
@click.option(
    "-H",
    "--header",
    "headers",
    multiple=True,
    metavar="'NAME: VALUE'",
    help="Send this header along, as for a login. May be repeated.",
)
@click.option(
    "--origin",
    default="",
    metavar="URL",
    help="Look as a page of this origin would: https://shop.example",
)
@click.option("--insecure", is_flag=True, help="Trust any certificate.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def probe(
    context: click.Context,
    url: str,
    seconds: float,
    headers: Sequence[str],
    origin: str,
    insecure: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Look at a stream from outside, as a browser would see it, and say what is between: what holds
    rows back, compresses them or cuts them off, whether a client that comes back loses rows, and
    the line of the proxy's configuration that cures it.

    URL is that of any stream of Server-Sent Events, of Rowcast or not. A signed address can be
    given as it is. It opens a few streams there, and sends nothing but requests for them. What is
    printed has no row and no secret of the address.
    """
    from poller.probing.findings import as_data, findings_of, proxies_of, status_of
    from poller.probing.look import look

    try:
        asked = _asked(url, seconds, headers, origin, insecure=insecure)
        if not as_json:
            _begin(asked.address.shown, seconds)
        observed = look(asked)
    except ValueError as error:
        raise NotDone(str(error)) from None
    except KeyboardInterrupt:  # the first one only ends the long look
        context.exit(CTRL_C)
    if observed.first.problem:
        raise NotDone(f"{observed.url}: {observed.first.problem}")
    findings, proxies = findings_of(observed), proxies_of(observed)
    if as_json:
        click.echo(json.dumps(as_data(observed, findings, proxies), indent=2))  # in ASCII: safe
    else:
        _show(findings, proxies)
    context.exit(status_of(findings))


def _asked(
    url: str, seconds: float, headers: Sequence[str], origin: str, *, insecure: bool
) -> Asked:
    """Raises ValueError in words."""
    from poller.probing.address import Address
    from poller.probing.look import Asked

    page = Address.of(origin).origin if origin else ""
    return Asked(Address.of(url), seconds, dict(map(_header, headers)), page, insecure)


def _header(text: str) -> tuple[str, str]:
    """Raises ValueError, without what may be secret."""
    name, colon, value = text.partition(":")
    if not colon or not TOKEN.fullmatch(name) or not VALUE.fullmatch(value):
        raise ValueError("-H takes one header as 'NAME: VALUE', on one line, in ASCII")
    return name, value.strip()


def _begin(shown: str, seconds: float) -> None:
    click.echo(f"{safe(shown)}, looked at for {seconds:g} s …")
    click.echo()


def _show(findings: Sequence[Finding], proxies: Sequence[str]) -> None:
    for finding in findings:
        mark = click.style(f"{finding.state:<{MARK_WIDTH}}", fg=COLOURS[finding.state])
        _say(f"{mark} {safe(finding.sentence)}")
        if finding.state == "attention":
            _explain(finding, proxies)
        elif finding.state == "unknown" and finding.next:
            _say(f"{INDENT}to see it: {safe(finding.next)}")
    count = sum(one.state == "attention" for one in findings)
    needs = "1 thing needs" if count == 1 else f"{count} things need"
    _say(f"\n{f'{needs} attention.' if count else 'All is well, as far as it could be seen.'}")


def _explain(finding: Finding, proxies: Sequence[str]) -> None:
    from poller.probing.cures import cures_of

    if finding.evidence:
        _say(f"{INDENT}seen: {safe(finding.evidence)}")
    if finding.next:
        _say(f"{INDENT}what to do: {safe(finding.next)}")
    for name, line in cures_of(finding.problem, proxies).items():
        _say(f"{INDENT}  {name + ':':<12}{line}")


def _say(line: str) -> None:
    """In what the terminal can show."""
    encoding = sys.stdout.encoding
    click.echo(line.encode(encoding, "backslashreplace").decode(encoding), color=coloured())
