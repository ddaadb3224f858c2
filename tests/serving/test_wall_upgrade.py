"""A wall goes on under its next version, whose feed counts versions and not ids."""

from collections.abc import Callable
from contextlib import ExitStack

from tests.harness.gunicorn import WALL, Gunicorn
from tests.harness.process import wait_until
from tests.harness.sql import execute, insert_posts
from tests.harness.sse import Stream
from tests.wall.test_upgrade import make_former, prepare

OpenStream = Callable[..., Stream]


def test_readers_of_the_wall_before_load_its_posts_again(
    start_gunicorn: Callable[..., Gunicorn], open_stream: OpenStream, database_url: str
) -> None:
    """Their tokens hold ids. The same numbers as versions would pass over the wrong rows."""
    make_former(database_url)
    before = start_gunicorn({"DATABASE_URL": database_url}).wait_ready()
    reader = open_stream(before.stream_url, "0").wait_open()
    assert reader.wait_for_rows(3) == [1, 3, 4]
    insert_posts(database_url, ["five", "six"])
    reader.wait_for_rows(5)
    token = reader.last_event_id
    before.terminate()

    env = {"DATABASE_URL": database_url}
    now = start_gunicorn(env, workers=2, app=WALL).wait_ready()
    answer = now.get(f"/rows/posts?after={token}")
    assert answer.status == 410
    back = open_stream(now.stream_url, token).wait_open()
    back.wait_for(lambda it: bool(it.of_type("reset")), what="a reset")
    assert not back.rows
    execute(database_url, "UPDATE posts SET body = 'ONE' WHERE id = 1")
    row = back.wait_for_body("ONE").json
    assert row["id"] == 1
    assert row["version"] > 5
    assert "ONE" in now.get("/").text


def test_a_user_that_may_not_change_the_table_is_told_and_the_owner_ends_it(
    start_gunicorn: Callable[..., Gunicorn], postgresql_url: str
) -> None:
    """`/readyz` says what to do; a page says that its posts will come."""
    make_former(postgresql_url)
    name = f"{postgresql_url.rsplit('/', 1)[1]}_writer"
    execute(postgresql_url, f"CREATE ROLE {name} LOGIN")
    execute(postgresql_url, f"GRANT SELECT, INSERT, UPDATE ON posts TO {name}")
    url = postgresql_url.replace("rowcast@", f"{name}@")
    with ExitStack() as stack:
        stack.callback(execute, postgresql_url, f"DROP ROLE {name}")
        stack.callback(execute, postgresql_url, f"DROP OWNED BY {name}")
        wall = start_gunicorn({"DATABASE_URL": url}, app=WALL)
        stack.callback(wall.end)
        wait_until(lambda: "as its owner" in ready(wall), 30, "what to do is said")
        page = wall.get("/")
        assert page.status == 200
        assert "The wall has no table for its posts" in page.text
        prepare(postgresql_url)
        assert "four" in wall.wait_ready().get("/").text
        assert wall.post("from the user that may only write") == 5


def ready(wall: Gunicorn) -> str:
    try:
        return wall.get("/readyz").text
    except OSError:  # it has not begun to listen
        return ""
