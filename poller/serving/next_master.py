"""What this worker class asks of gunicorn's master: hooks beside those of the user's configuration.

`pre_exec` runs in the process that becomes the next master, at USR2. That one gets the environment
from before our folders were made, and the command line as `sys.argv` has it. For `python -m
gunicorn` this is the path of a file in gunicorn's own folder, whose `http` would then hide the
standard library's: the new master would not even start.

gunicorn reads its configuration anew at each HUP, so the hooks are added whenever a worker is made.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

Reaped = Callable[[Any], None]


def prepare(cfg: Any, variables: Iterable[str], reaped: Reaped) -> None:
    """Pass on these variables of the environment; call `reaped(worker)` in the master whenever a
    worker has ended. The user's own hooks are called first. Twice does nothing."""
    if getattr(cfg.pre_exec, "is_rowcasts", False):
        return
    users_pre_exec, users_child_exit = cfg.pre_exec, cfg.child_exit

    def pre_exec(master: Any) -> None:
        users_pre_exec(master)
        pass_on(master, variables)

    def child_exit(master: Any, worker: Any) -> None:
        users_child_exit(master, worker)
        reaped(worker)

    pre_exec.is_rowcasts = True  # type: ignore[attr-defined]
    cfg.set("pre_exec", pre_exec)
    cfg.set("child_exit", child_exit)


def pass_on(master: Any, variables: Iterable[str]) -> None:
    """In the process that becomes the next master."""
    for name in variables:
        if value := os.environ.get(name):
            master.cfg.env_orig[name] = value
    if getattr(sys.modules["__main__"], "__spec__", None) is not None:  # python -m …
        master.START_CTX["args"] = [sys.executable, *sys.orig_argv[1:]]
