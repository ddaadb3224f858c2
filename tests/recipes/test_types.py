"""The types say what the script does."""

import re
import subprocess
from pathlib import Path

import poller

HERE = Path(__file__).parent
STATIC = Path(poller.__file__).parent / "static"
STRICT = ["--strict", "--noEmit", "--target", "es2022", "--module", "nodenext", "--skipLibCheck"]
COMPILE_TIMEOUT_S = 100


def test_a_program_that_uses_all_of_them_compiles(packages: Path) -> None:
    compiler = str(packages / ".bin" / "tsc")
    done = subprocess.run(
        [compiler, *STRICT, "--lib", "es2022,dom", str(HERE / "types.ts")],
        capture_output=True,
        text=True,
        timeout=COMPILE_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_every_option_is_typed() -> None:
    script = (STATIC / "rowcast.js").read_text(encoding="utf-8")
    typed = (STATIC / "rowcast.d.ts").read_text(encoding="utf-8")
    interface = re.search(r"interface Options<Row> \{(.*?)^\}", typed, re.MULTILINE | re.DOTALL)
    assert interface
    (named,) = re.findall(r"constructor\(url, \{(.*?), \.\.\.handlers", script)
    (handlers,) = re.findall(r"const \{ (.*?) \} = this\.handlers", script)
    options = {*re.findall(r"(\w+)(?: = \w+|\"\w+\")?(?=,|$)", re.sub(r'"\w+"', "x", named))}
    options |= {*handlers.split(", "), "onState"}
    assert options == set(re.findall(r"^  (\w+)\?:", interface[1], re.MULTILINE))
