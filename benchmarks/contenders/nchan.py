"""nchan: nginx's push module, as Debian packages it, one worker process.

Either installed, or unpacked by `benchmarks/install.sh`, which leaves the machine as it is.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.contenders.base import Contender, HttpPublisher
from benchmarks.machine import CORES, PROJECT
from tests.harness.process import PartMissing

PLACES = (Path(os.environ.get("NCHAN", PROJECT / ".venv" / "nchan")), Path("/"))
STATE = Path("/var/lib/nginx")
MODULE = "usr/lib/nginx/modules/ngx_nchan_module.so"
# The history as long as ours, and a ping as often as our heartbeat.
CONFIG = """
daemon off;
worker_processes {workers};
pid {folder}/pid;
error_log stderr warn;
load_module {module};
events {{ worker_connections 40000; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    keepalive_timeout 1h;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    nchan_shared_memory_size 256m;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /publish {{
            nchan_publisher http;
            nchan_channel_id bench;
            nchan_message_buffer_length 10000;
        }}
        location = /stream {{
            nchan_subscriber eventsource;
            nchan_channel_id bench;
            nchan_subscriber_first_message newest;
            nchan_eventsource_ping_interval 15;
        }}
    }}
}}
"""


class Nchan(Contender):
    """A row is posted to nchan's own publisher."""

    title = "nchan"

    def __init__(self, folder: Path, *, workers: int = 1) -> None:
        super().__init__(folder)
        self._workers = workers
        if workers > 1:
            self.cores = set(CORES)
        places = [place for place in PLACES if (place / MODULE).exists()]
        if not places:
            raise PartMissing("nginx with nchan is not installed (make bench gets it)")
        self._place = places[0]

    def start(self) -> None:
        config = self.folder / "nginx.conf"
        module = self._place / MODULE
        values = {"folder": self.folder, "port": self.port, "module": module}
        config.write_text(CONFIG.format(workers=self._workers, **values))
        program = self._place / "usr/sbin/nginx"
        arguments = ["-e", "stderr", "-p", self.folder, "-c", config]
        child = self.spawn([*_with_state_folder(), program, *arguments])
        self.wait_listening(child, self.port)
        publisher = HttpPublisher(self.port, "/publish")
        self._publisher = self._stack.enter_context(closing(publisher))

    def send(self, texts: Sequence[str]) -> None:
        self._publisher.send(self.data(texts))


def _with_state_folder() -> list[str]:
    """A prefix of the command. nchan wants the folder `STATE`, whatever nginx is told. Where that
    is missing, it gets one in a mount namespace that ends with it."""
    if STATE.exists():
        return []
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "-r"]
    script = f'mount -t tmpfs none {STATE.parent} && mkdir {STATE} && exec "$0" "$@"'
    return [*namespace, "sh", "-c", script]
