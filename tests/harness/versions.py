"""Tables whose changes are numbered, by the recipes of docs/versions.md."""

from contextlib import closing

from tests.docs.pages import PROJECT, blocks
from tests.harness import sql

PAGE = PROJECT / "docs" / "versions.md"
RECIPES = {block.options["recipe"]: block.text for block in blocks(PAGE) if block.language == "sql"}


def run_recipe(url: str, recipe: str = "", table: str = "orders") -> None:
    """`recipe` is by default the one of the database's kind."""
    script = RECIPES[recipe or sql.dialect_of(url)].replace("orders", table)
    if sql.dialect_of(url) != "mariadb":
        sql.run_script(url, script)
        return
    with sql.connect(url) as connection, closing(connection.cursor()) as cursor:
        for statement in statements(script):
            cursor.execute(statement)


def statements(script: str) -> list[str]:
    """As MySQL's own client reads them."""
    found, lines, end = list[str](), list[str](), ";"
    for line in script.splitlines():
        if line.startswith("DELIMITER"):
            end = line.split()[1]
            continue
        lines.append(line)
        if line.rstrip().endswith(end):
            found.append("\n".join(lines).rstrip().removesuffix(end))
            lines = []
    assert not lines, lines
    return found
