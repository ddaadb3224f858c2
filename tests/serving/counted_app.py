"""The wall, for which the addresses of this machine are clients like any others."""

from gevent import monkey

monkey.patch_all()

from ipaddress import IPv4Address  # noqa: E402

import app as program  # noqa: E402

IPv4Address.is_loopback = False  # type: ignore[assignment,method-assign]

app = program.create_app()
