"""`python -m benchmarks [CASE …]`: runs cases (all), keeps their figures, writes the page."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import click
from tqdm import tqdm

from benchmarks import machine, plots
from benchmarks.case import Bench, Case, Figures
from benchmarks.cases import ALL
from benchmarks.contenders import NAMES
from benchmarks.plan import FULL, SHORT
from benchmarks.report import Results, write

DOCS = Path(__file__).resolve().parents[1] / "docs"
CASES = {case.name: case for case in ALL}


@click.command()
@click.argument("cases", nargs=-1, type=click.Choice(list(CASES)))
@click.option("--only", multiple=True, type=click.Choice(NAMES), help="Contenders; default all.")
@click.option("--short", is_flag=True, help="Small sizes: does it work, not how fast is it.")
@click.option(
    "--docs", type=click.Path(path_type=Path), default=DOCS, help="Where the page is written."
)
@click.option("--render", is_flag=True, help="Run nothing, write the page from what was kept.")
def main(
    cases: tuple[str, ...], only: tuple[str, ...], docs: Path, *, short: bool, render: bool
) -> None:
    """Run CASES (default all) and write docs/benchmarks.md."""
    machine.prepare()
    results = Results(docs / "benchmarks")
    bench = Bench((SHORT if short else FULL).only(only))
    failed = False
    for name in () if render else cases or tuple(CASES):
        rows = list(shown(CASES[name], bench))
        failed |= any("failed" in row for row in rows)
        today = dt.datetime.now(dt.UTC).date().isoformat()
        results.keep(name, today, machine.describe(), rows)
        click.echo(f"\n{CASES[name].title}\n\n{CASES[name].table(rows)}")
        write(results, ALL, docs / "benchmarks.md", plots.draw)
    write(results, ALL, docs / "benchmarks.md", plots.draw)
    sys.exit(failed)


def shown(case: Case, bench: Bench) -> Iterable[Figures]:
    """The figures of a case, with a progress bar that tells what is being measured."""
    with tqdm(total=case.count(bench.plan), desc=case.name, dynamic_ncols=True) as bar:
        bench.say = _teller(case.name, bar.set_description)
        for row in case.run(bench):
            bar.update()
            yield row


def _teller(name: str, tell: Callable[[str], None]) -> Callable[[str], None]:
    return lambda what: tell(f"{name}: {what}")


if __name__ == "__main__":
    main()
