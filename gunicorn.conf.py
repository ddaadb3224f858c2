"""How gunicorn serves the wall. It reads this file by itself: `gunicorn app:app` in this folder."""

import os

worker_class = "poller.Worker"
_host = (os.environ.get("HOST") or "127.0.0.1").strip("[]")
bind = [f"{f'[{_host}]' if ':' in _host else _host}:{os.environ.get('PORT') or '8000'}"]
# workers: gunicorn takes WEB_CONCURRENCY, default 1.
# For a page that is being served: streams end by themselves.
graceful_timeout = 5
# An idle connection holds the end up for as long.
keepalive = 1
# Whether a proxy's headers are believed is for ROWCAST_PROXIES alone to say.
forwarded_allow_ips = ""
