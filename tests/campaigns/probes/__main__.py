"""`make probes`: looks at each scene, prints what was found, and keeps what was seen.

Exit status 1 when a finding is not as `tests/poller/probing/expected.py` has it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import msgspec

from poller.probing.findings import findings_of
from tests.campaigns.probes.scenes import names, observe
from tests.harness.process import PartMissing
from tests.poller.probing.expected import RECORDED, attention_in, differs


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.probes", description=__doc__)
    parser.add_argument("names", nargs="*", default=names())
    parser.add_argument("--keep", action="store_true", help="write tests/poller/probing/recorded")
    given = parser.parse_args(arguments)
    wrong = [name for name in given.names if not _fits(name, keep=given.keep)]
    _say(f"not as expected: {', '.join(wrong)}" if wrong else "each as expected")
    return 1 if wrong else 0


def _fits(name: str, *, keep: bool) -> bool:
    with tempfile.TemporaryDirectory(prefix="rowcast-probe-") as folder:
        try:
            observed = observe(name, Path(folder))
        except PartMissing as reason:
            _say(f"{name}: left out: {reason}")
            return True
    findings = findings_of(observed)
    _say(f"{name}: attention to {', '.join(sorted(attention_in(findings))) or 'nothing'}")
    for finding in findings:
        told = f" [{finding.evidence}]" if finding.evidence else ""
        _say(f"  {finding.state:<9} {finding.sentence}{told}")
    if keep:
        path = RECORDED / f"{name}.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode(observed), indent=1) + b"\n")
    problem = differs(name, findings)
    if problem:
        _say(f"  NOT AS EXPECTED: {problem}")
    return not problem


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what it is for


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
