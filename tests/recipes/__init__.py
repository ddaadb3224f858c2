"""The recipes of docs/recipes.md in a browser, as they are written there."""
