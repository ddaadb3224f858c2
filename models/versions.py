"""Versions of posts: the database gives each row a new, greater number at each INSERT and UPDATE.

Pure SQL, by dialect, without a value to bind. Where the database has sequences (PostgreSQL,
MariaDB) the number comes from one, and writers do not wait for each other. SQLite has one writer at
a time anyway, so a counter row does. MySQL has neither: there the counter row makes writers of
posts wait for each other until they commit.

The same triggers note when a text was changed.
"""

from __future__ import annotations

INDEX = "posts_version_key"
UNIQUE = "CREATE UNIQUE INDEX posts_version_key ON posts (version)"
DRAFT_INDEX = "posts_draft_key"
DRAFT_UNIQUE = "CREATE UNIQUE INDEX posts_draft_key ON posts (draft)"

# A BEFORE trigger of SQLite cannot change the row, so the row is updated once more. The columns are
# named, and `version` is not among them: no trigger calls itself, whatever `recursive_triggers` is.
SQLITE_UPDATED = """
CREATE TRIGGER posts_updated
AFTER UPDATE OF id, author, body, created_at, via, edited_at, deleted_at, deleted_by, draft ON posts
BEGIN
  UPDATE posts_version SET value = value + 1;
  UPDATE posts SET version = (SELECT value FROM posts_version) WHERE id = NEW.id;
END"""
# For a table that has the trigger of before the column `draft`.
SQLITE_UPDATED_AGAIN = ("DROP TRIGGER IF EXISTS posts_updated", SQLITE_UPDATED)
SQLITE = (
    "CREATE TABLE IF NOT EXISTS posts_version (value INTEGER NOT NULL)",
    "INSERT INTO posts_version SELECT 0 WHERE NOT EXISTS (SELECT * FROM posts_version)",
    # Never down: a table that was dropped leaves its counter.
    "UPDATE posts_version SET value = max(value, (SELECT coalesce(max(version), 0) FROM posts))",
    """
CREATE TRIGGER posts_inserted AFTER INSERT ON posts
BEGIN
  UPDATE posts_version SET value = value + 1;
  UPDATE posts SET version = (SELECT value FROM posts_version) WHERE id = NEW.id;
END""",
    SQLITE_UPDATED,
    """
CREATE TRIGGER posts_edited AFTER UPDATE OF author, body ON posts
WHEN NEW.author IS NOT OLD.author OR NEW.body IS NOT OLD.body
BEGIN
  UPDATE posts SET edited_at = strftime('%Y-%m-%d %H:%M:%f', 'now') WHERE id = NEW.id;
END""",
)

# SECURITY DEFINER, so that whoever may write posts needs no right to the sequence. `{sequence}` is
# its name with the schema, as a text of SQL: neither a writer's path nor our own says where it is.
POSTGRESQL_SEQUENCE = """
SELECT quote_literal(quote_ident(nspname) || '.posts_version')
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE pg_class.oid = 'posts'::regclass"""
POSTGRESQL = (
    "CREATE SEQUENCE IF NOT EXISTS posts_version OWNED BY posts.version",
    """
SELECT setval('posts_version', greatest(max(version) + 1, nextval('posts_version')), false)
FROM posts""",
    """
CREATE OR REPLACE FUNCTION posts_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  NEW.version := nextval({sequence});
  IF TG_OP = 'UPDATE' AND (NEW.author, NEW.body) IS DISTINCT FROM (OLD.author, OLD.body) THEN
    NEW.edited_at := now();
  END IF;
  RETURN NEW;
END $$""",
    """
CREATE TRIGGER posts_changed BEFORE INSERT OR UPDATE ON posts
FOR EACH ROW EXECUTE FUNCTION posts_changed()""",
)

MARIADB_COUNTER = ("CREATE SEQUENCE IF NOT EXISTS posts_version",)
MARIADB_NEXT = "SET NEW.version = NEXT VALUE FOR posts_version;"
MYSQL_COUNTER = (
    "CREATE TABLE IF NOT EXISTS posts_version (value BIGINT NOT NULL) ENGINE = InnoDB",
    "INSERT INTO posts_version SELECT 0 FROM DUAL WHERE NOT EXISTS (SELECT * FROM posts_version)",
)
MYSQL_NEXT = """
  UPDATE posts_version SET value = value + 1;
  SET NEW.version = (SELECT value FROM posts_version);"""
MYSQL_EDITED = """
  IF NOT (BINARY NEW.author <=> BINARY OLD.author AND BINARY NEW.body <=> BINARY OLD.body) THEN
    SET NEW.edited_at = utc_timestamp(6);
  END IF;"""
MYSQL_TRIGGERS = {  # the first of the two above, or the second, goes in
    "posts_inserted": "CREATE TRIGGER posts_inserted BEFORE INSERT ON posts FOR EACH ROW\n"
    "BEGIN {next_version}\nEND",
    "posts_updated": "CREATE TRIGGER posts_updated BEFORE UPDATE ON posts FOR EACH ROW\n"
    "BEGIN {next_version}" + MYSQL_EDITED + "\nEND",
}
