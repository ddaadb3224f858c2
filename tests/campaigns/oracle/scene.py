"""What the faults of a torture act on."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaigns.oracle.proxy import NetworkPath
from tests.campaigns.oracle.records import Attempt, Truth
from tests.harness.gunicorn import Gunicorn
from tests.harness.process import Child
from tests.harness.server import DatabaseServer

EFFECT_TIMEOUT_S = 30.0


@dataclass
class Scene:
    """What the faults act on. On SQLite there is no server, and no path to it."""

    url: str
    main: Gunicorn
    lagging: Gunicorn
    folder: Path
    random: random.Random
    kill_a_writer: Callable[[], None]
    database: DatabaseServer | None = None
    path: NetworkPath | None = None
    truths: list[Truth] = field(default_factory=list)
    told: list[Attempt] = field(default_factory=list)
    locker: Child | None = None

    def wait_ready(self, *, lagging: bool = True) -> None:
        self.main.wait_ready(EFFECT_TIMEOUT_S)
        if lagging:
            self.lagging.wait_ready(EFFECT_TIMEOUT_S)
