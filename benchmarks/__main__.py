"""`python -m benchmarks run|render|compare`: runs cases, writes the page, compares checkouts."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import click

from benchmarks import compare, machine
from benchmarks.case import Bench
from benchmarks.cases import ALL
from benchmarks.contenders import NAMES
from benchmarks.plan import FULL, SHORT, Plan
from benchmarks.report import Results, write

DOCS = machine.PROJECT / "docs"
CASES = {case.name: case for case in ALL}

short_option = click.option("--short", is_flag=True, help="Small sizes: does it work at all?")
docs_option = click.option(
    "--docs", type=click.Path(path_type=Path), default=DOCS, help="Where the page is written."
)


@click.group()
def main() -> None:
    """Measure how rows are delivered."""


@main.command()
@click.argument("cases", nargs=-1, type=click.Choice(list(CASES)))
@click.option("--only", multiple=True, type=click.Choice(NAMES), help="Contenders; default all.")
@short_option
@docs_option
def run(cases: tuple[str, ...], only: tuple[str, ...], docs: Path, *, short: bool) -> None:
    """Run CASES (default all) and write docs/benchmarks.md. Exits with 1 when one failed."""
    machine.prepare()
    results, failed = Results(docs / "benchmarks"), False
    plan = (SHORT if short else FULL).only(only)
    for name in cases or tuple(CASES):
        rows = list(CASES[name].run(_bench(name, plan)))
        failed |= any("failed" in row for row in rows)
        today = dt.datetime.now(dt.UTC).date().isoformat()
        results.keep(name, today, machine.describe(), rows)
        click.echo(f"\n{CASES[name].title}\n\n{CASES[name].table(rows)}")
        write(results, ALL, docs / "benchmarks.md")
    sys.exit(failed)


@main.command()
@docs_option
def render(docs: Path) -> None:
    """Write docs/benchmarks.md from the kept figures."""
    write(Results(docs / "benchmarks"), ALL, docs / "benchmarks.md")


@main.command("compare")
@click.argument("cases", nargs=-1, type=click.Choice(list(compare.CASES)))
@click.option(
    "--other",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True),
    help="Folder of the other checkout; `.` shows what noise alone gives.",
)
@click.option("--rounds", default=5, show_default=True, help="Fresh servers in each.")
@short_option
def compare_command(cases: tuple[str, ...], other: Path, rounds: int, *, short: bool) -> None:
    """Run CASES (default all) with this checkout and another in turns, and print the ratios."""
    machine.prepare()
    for name in cases or tuple(compare.CASES):
        bench = _bench(name, SHORT if short else FULL)
        click.echo("\n" + compare.compare(bench, other, name, rounds))


def _bench(name: str, plan: Plan) -> Bench:
    return Bench(plan, lambda what: click.echo(f"{name}: {what}", err=True))


if __name__ == "__main__":
    main()
