"""The proxies of deploy/ as private processes: own folder, free ports, ended with the test.

Each runs the file in deploy/ as it is, but for what a user replaces, too: names, paths, the port of
Rowcast. It listens twice, with TLS as deployed, and without, for tests that read plain sockets.
"""

import re
import shutil
import socket
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import psutil

from tests.harness.ports import free_port
from tests.harness.process import (
    Child,
    PartMissing,
    reachable_by_all,
    run,
    server_folder,
    unprivileged_user,
    wait_until,
)

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNPACKED = Path(sys.prefix) / "proxies"  # by tests/harness/install.sh
PLACES = ("/usr/local/sbin", "/usr/sbin")
LIBRARIES = tuple(f"{UNPACKED}/usr/lib/{machine}-linux-gnu" for machine in ("x86_64", "aarch64"))
UPSTREAM = "127.0.0.1:8000"
CERTIFICATE = "/etc/ssl/certs/wall.example.org.pem"
KEY = "/etc/ssl/private/wall.example.org.key"


class Proxy(ABC):
    """One proxy in front of 127.0.0.1:`upstream_port`; PartMissing where it is not installed."""

    name: ClassVar[str]
    program: ClassVar[str]
    version_option: ClassVar[str] = "-v"
    # Whether it tells Rowcast at once that a client left. The others learn it when they write.
    notices_leaving: ClassVar[bool] = True
    # Whether a client can tell from the end of its stream that Rowcast crashed.
    tells_crash: ClassVar[bool] = True
    # How many streams one connection of HTTP/2 carries for certain, if no more than the tests ask.
    streams_by_http_2: ClassVar[int] = 8

    def __init__(self, upstream_port: int) -> None:
        self.path = find(self.program)
        self.upstream = f"127.0.0.1:{upstream_port}"
        self.port, self.tls_port = free_port(), free_port()
        self._user = unprivileged_user("nobody") if reachable_by_all(self.path.parent) else None
        self.folder = server_folder(self.program, self._user)
        self._child: Child | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"https://127.0.0.1:{self.tls_port}"

    @property
    def version(self) -> str:
        output = run(["env", libraries(), self.path, self.version_option])
        found = re.search(r"\d+\.\d+\.\d+", output)
        assert found, output
        return found[0]

    @abstractmethod
    def configure(self) -> list[object]:
        """Writes its files; the options to start it with, in the foreground."""

    def __enter__(self) -> Self:
        self_signed(self.folder)
        command = ["env", libraries(), f"HOME={self.folder}", self.path, *self.configure()]
        for path in self.folder.iterdir():
            path.chmod(0o644)
        self._child = Child(command, self.folder / "log", user=self._user, cwd=self.folder)
        wait_until(self._listens, 20, f"{self.name} listens")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._child is not None:
            self._child.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def memory_bytes(self) -> int:
        """What its processes have for themselves alone."""
        assert self._child is not None
        processes = [psutil.Process(self._child.pid), *self._child.descendants()]
        return sum(int(one.memory_full_info().uss) for one in processes)

    def log(self) -> str:
        logs = [self.folder / "log", self.folder / "error.log"]
        return "".join(one.read_text(errors="replace") for one in logs if one.exists())

    def deployed(self, name: str, replaced: dict[str, str], text: str = "") -> Path:
        """The file of deploy/, written into the folder with these words replaced."""
        text = text or (DEPLOY / name).read_text(encoding="utf-8")
        for old, new in {UPSTREAM: self.upstream, **replaced}.items():
            assert old in text, f"deploy/{name} has no {old}"
            text = text.replace(old, new)
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def _listens(self) -> bool:
        assert self._child is not None
        assert self._child.alive, self.log()
        ports = (self.port, self.tls_port)
        return all(map(is_open, ports))


class Nginx(Proxy):
    name, program = "nginx", "nginx"
    connections = 2048

    def configure(self) -> list[object]:
        listen = f"listen 127.0.0.1:{self.tls_port} ssl http2; listen 127.0.0.1:{self.port};"
        files = {CERTIFICATE: f"{self.folder}/cert.pem", KEY: f"{self.folder}/key.pem"}
        site = self.deployed("nginx.conf", {"listen 443 ssl http2;": listen, **files})
        return self.around(f"include {site};")

    def around(self, http: str) -> list[object]:
        """What a distribution's nginx.conf has around a site, with places of our own."""
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        places = " ".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in kinds)
        (self.folder / "main.conf").write_text(
            "daemon off; master_process off; pid nginx.pid; error_log stderr;\n"
            f"events {{ worker_connections {self.connections}; }}\n"
            f"http {{ access_log off; {places}\n{http}\n}}\n"
        )
        return ["-e", "stderr", "-p", self.folder, "-c", self.folder / "main.conf"]


class CachingNginx(Nginx):
    """With deploy/nginx-rows.conf, as its first lines say."""

    def configure(self) -> list[object]:
        options = super().configure()
        rows = self.deployed("nginx-rows.conf", {"/var/cache/nginx": str(self.folder)})
        text = rows.read_text(encoding="utf-8")
        found = re.search(r"^# +(proxy_cache_path .*;)$", text, re.MULTILINE)
        assert found
        site = self.folder / "nginx.conf"
        inside = site.read_text(encoding="utf-8").replace("server {", f"server {{ include {rows};")
        site.write_text(f"{found[1]}\n{inside}", encoding="utf-8")
        return options


class Caddy(Proxy):
    name, program, version_option = "Caddy", "caddy", "version"
    tells_crash = False  # 2.6 ends the answer in good order

    def configure(self) -> list[object]:
        text = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
        address = "wall.example.org {"
        plain = text[text.index(address) :].replace(address, "plain {")
        keys = f"tls {self.folder}/cert.pem {self.folder}/key.pem"
        sites = {
            address: f"https://:{self.tls_port} {{\n\tbind 127.0.0.1\n\t{keys}",
            "plain {": f"http://:{self.port} {{\n\tbind 127.0.0.1",
        }
        ours = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n"
        path = self.deployed("Caddyfile", sites, ours + text + plain)
        return ["run", "--config", path, "--adapter", "caddyfile"]


class HAProxy(Proxy):
    name, program, notices_leaving = "HAProxy", "haproxy", False

    def configure(self) -> list[object]:
        pair = self.folder / "wall.example.org.pem"
        pair.write_text(
            (self.folder / "cert.pem").read_text() + (self.folder / "key.pem").read_text()
        )
        shutil.copy(DEPLOY / "haproxy-away.http", self.folder)
        binds = f"bind 127.0.0.1:{self.port}\n    bind 127.0.0.1:{self.tls_port} ssl"
        replaced = {"bind :443 ssl": binds, "/etc/haproxy/": f"{self.folder}/"}
        return ["-db", "-f", self.deployed("haproxy.cfg", replaced)]


class Apache(Proxy):
    name, program, notices_leaving = "Apache", "apache2", False
    streams_by_http_2 = 6  # more once it has served pages on that connection

    def configure(self) -> list[object]:
        text = (DEPLOY / "apache.conf").read_text(encoding="utf-8")
        site = text[text.index("<VirtualHost") :]
        plain = re.sub(r"\n *SSL[^\n]*", "", site)
        shutil.copy(DEPLOY / "apache-away.asis", self.folder)
        files = {
            CERTIFICATE: f"{self.folder}/cert.pem",
            KEY: f"{self.folder}/key.pem",
            "/etc/apache2/": f"{self.folder}/",
        }
        hosts = {
            "<VirtualHost *:443>": f"<VirtualHost *:{self.tls_port}>",
            "<VirtualHost *:80>": f"<VirtualHost *:{self.port}>",
        }
        both = site + plain.replace("<VirtualHost *:443>", "<VirtualHost *:80>")
        path = self.deployed("apache.conf", files | hosts, both)
        enabled = re.search(r"a2enmod (.*)", text)
        assert enabled
        path.write_text(self._around(enabled[1].split(" ")) + path.read_text())
        return ["-DFOREGROUND", "-f", path]

    def _around(self, modules: list[str]) -> str:
        """What Debian has without asking, and the modules that the file names."""
        folder = next(
            place
            for place in (Path("/usr/lib/apache2/modules"), UNPACKED / "usr/lib/apache2/modules")
            if place.exists()
        )
        debian = ["authz_core", "filter", "mime", "reqtimeout", "setenvif"]
        loaded = [f"LoadModule {one}_module {folder}/mod_{one}.so" for one in debian + modules]
        lines = [
            f"ServerRoot {self.folder}",
            f"DefaultRuntimeDir {self.folder}",
            f"PidFile {self.folder}/pid",
            "ServerName localhost",
            f"ErrorLog {self.folder}/error.log",
            f"Listen 127.0.0.1:{self.port}",
            f"Listen 127.0.0.1:{self.tls_port}",
            "TypesConfig /dev/null",
            *loaded,
        ]
        return "\n".join(lines) + "\n"


KINDS: tuple[type[Proxy], ...] = (Nginx, Caddy, HAProxy, Apache)


def find(program: str) -> Path:
    """The program of the machine, or the one that was unpacked for the tests."""
    unpacked = [str(UNPACKED / "usr" / place) for place in ("sbin", "bin")]
    for places in (None, ":".join([*PLACES, *unpacked])):
        if found := shutil.which(program, path=places):
            return Path(found)
    raise PartMissing(f"{program} is not installed (make test gets it when run as root)")


def self_signed(folder: Path) -> None:
    """`cert.pem` and `key.pem` in the folder, for a day."""
    files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    names = "subjectAltName=DNS:wall.example.org,DNS:localhost,IP:127.0.0.1"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    subject = ["-subj", "/CN=wall.example.org", "-addext", names]
    run(["openssl", "req", "-x509", *key, *files, *subject])


def libraries() -> str:
    return f"LD_LIBRARY_PATH={':'.join(LIBRARIES)}"


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
