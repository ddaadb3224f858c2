"""A private Prometheus that scrapes one server each second, with the alerts of deploy/ hastened.

`hastened()` changes nothing of an alert but its times, so that each fires within seconds: over what
span it looks, how long it must hold, and from how many seconds on a gap is an old one.
"""

import re
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from tests.harness.http import request
from tests.harness.ports import free_port
from tests.harness.process import Child, run, server_folder, wait_until
from tests.harness.proxies import DEPLOY, find

START_TIMEOUT_S = 30.0
SPAN = "[6s]"


class Prometheus:
    """`with Prometheus(port, token) as prometheus`; PartMissing where it is not installed."""

    def __init__(self, port: int, token: str) -> None:
        self.path = find("prometheus")
        self.port = free_port()
        self._folder = server_folder("prometheus", None)
        job = (DEPLOY / "prometheus.yml").read_text(encoding="utf-8")
        replaced = {
            "/etc/prometheus/rowcast-token": str(self._write("token", token)),
            "10.0.0.7:8000": f"127.0.0.1:{port}",
        }
        for old, new in replaced.items():
            assert old in job, f"deploy/prometheus.yml has no {old}"
            job = job.replace(old, new)
        rules = self._write("rules.yml", hastened((DEPLOY / "rules.yml").read_text("utf-8")))
        pace = "global: {scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s}\n"
        self._config = self._write("prometheus.yml", f"{pace}rule_files: [{rules}]\n{job}")
        self._child: Child | None = None

    @property
    def version(self) -> str:
        found = re.search(r"version (\d+\.\d+\.\d+)", run([self.path, "--version"]))
        assert found
        return found[1]

    def __enter__(self) -> Self:
        options = [f"--config.file={self._config}", f"--storage.tsdb.path={self._folder}/data"]
        listen = f"--web.listen-address=127.0.0.1:{self.port}"
        self._child = Child([self.path, *options, listen], self._folder / "log", cwd=self._folder)
        wait_until(self._is_ready, START_TIMEOUT_S, "Prometheus is ready")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._child is not None:
            self._child.end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def firing(self) -> dict[str, set[str]]:
        """The alerts that fire now, each with the feeds that it names."""
        told: dict[str, set[str]] = {}
        for alert in self._ask("/api/v1/alerts")["alerts"]:
            if alert["state"] == "firing":
                labels = alert["labels"]
                told.setdefault(labels["alertname"], set()).add(labels.get("feed", ""))
        return told

    def is_scraped(self) -> bool:
        targets = self._ask("/api/v1/targets")["activeTargets"]
        return [one["health"] for one in targets] == ["up"]

    def query(self, expression: str) -> list[Any]:
        """What it is now, for each set of labels; refused if it is no expression."""
        found: list[Any] = self._ask(f"/api/v1/query?{urlencode({'query': expression})}")["result"]
        return found

    def _ask(self, path: str) -> Any:
        return request(f"http://127.0.0.1:{self.port}{path}").json["data"]

    def _is_ready(self) -> bool:
        assert self._child is not None
        assert self._child.alive, (self._folder / "log").read_text()
        try:
            return request(f"http://127.0.0.1:{self.port}/-/ready", timeout_s=2).status == 200
        except OSError:
            return False

    def _write(self, name: str, text: str) -> Path:
        path = self._folder / name
        path.write_text(text, encoding="utf-8")
        return path


def hastened(rules: str) -> str:
    rules, spans = re.subn(r"\[\d+[mh]\]", SPAN, rules)
    rules, holds = re.subn(r"for: \d+[ms]", "for: 0s", rules)
    rules, age = re.subn(r"(gap_seconds >) 60", r"\1 1", rules)
    assert (spans > 0, holds > 0, age) == (True, True, 1)
    return rules
