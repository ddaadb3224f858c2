"""The application with members on a real server, for the tests that log in and out."""

from collections.abc import Mapping
from pathlib import Path

from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.http import request

APP = "tests.serving.members_app:app"
TABLE = "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT)"


class Members(Gunicorn):
    """Its database and its sessions are in `folder`."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        workers: int = 2,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.folder, sessions = folder, folder / "sessions"
        sessions.mkdir()
        self.database_url = f"sqlite:///{folder / 'members.sqlite3'}"
        sql.execute(self.database_url, TABLE)
        ours = {"DATABASE_URL": self.database_url, "MEMBERS": str(sessions)}
        ours["ROWCAST_POST_RATE"] = ""  # the wall's alone
        super().__init__(folder, {**ours, **(env or {})}, app=APP, workers=workers, options=options)

    def insert(self, body: str) -> None:
        sql.execute(self.database_url, "INSERT INTO notes (body) VALUES (%s)", [body])

    def login(self, name: str) -> dict[str, str]:
        """The headers of a session."""
        return {"Authorization": request(f"{self.url}/login/{name}", "POST").text}

    def logout(self, session: dict[str, str], query: str = "") -> None:
        assert request(f"{self.url}/logout{query}", "POST", headers=session).status == 204
