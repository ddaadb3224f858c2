"""What gunicorn's master is asked to do beside what the user's configuration says."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from unittest import mock

import pytest
from gunicorn.config import Config

from poller.serving import next_master


@pytest.fixture
def told() -> list[object]:
    return []


@pytest.fixture
def cfg(told: list[object]) -> Config:
    """With hooks of the user's own."""
    made = Config()

    def pre_exec(server: object) -> None:
        told.append(("pre_exec", server))

    def child_exit(server: object, worker: object) -> None:
        told.append(("child_exit", worker))

    made.set("pre_exec", pre_exec)
    made.set("child_exit", child_exit)
    return made


def master_of(cfg: Config) -> SimpleNamespace:
    return SimpleNamespace(cfg=cfg, START_CTX={"args": [sys.executable, "gunicorn", "shop:app"]})


def test_the_users_hooks_are_called_first_and_ours_once(cfg: Config, told: list[object]) -> None:
    for _ in range(2):
        next_master.prepare(cfg, [], lambda worker: told.append(("reaped", worker)))
    cfg.child_exit("master", "worker")
    assert told == [("child_exit", "worker"), ("reaped", "worker")]
    told.clear()
    master = master_of(cfg)
    cfg.pre_exec(master)
    assert told == [("pre_exec", master)]


def test_the_next_master_gets_the_folders(cfg: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_FOLDER", "/tmp/x")
    monkeypatch.delenv("ANOTHER", raising=False)
    next_master.prepare(cfg, ["A_FOLDER", "ANOTHER"], print)
    cfg.pre_exec(master_of(cfg))
    assert cfg.env_orig["A_FOLDER"] == "/tmp/x"
    assert "ANOTHER" not in cfg.env_orig


def test_a_module_is_run_again_as_a_module(cfg: Config) -> None:
    """By its path, gunicorn's folder would come first on the path of modules."""
    master = master_of(cfg)
    as_module = SimpleNamespace(__spec__=object())
    command = ["/usr/bin/python3", "-W", "error", "-m", "gunicorn", "shop:app"]
    with (
        mock.patch.dict(sys.modules, {"__main__": as_module}),
        mock.patch.object(sys, "orig_argv", command),
    ):
        next_master.pass_on(master, [])
    assert master.START_CTX["args"] == [sys.executable, *command[1:]]


def test_a_program_is_run_again_as_it_was(cfg: Config) -> None:
    master = master_of(cfg)
    with mock.patch.dict(sys.modules, {"__main__": SimpleNamespace(__spec__=None)}):
        next_master.pass_on(master, [])
    assert master.START_CTX["args"] == [sys.executable, "gunicorn", "shop:app"]
