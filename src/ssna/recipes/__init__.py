"""The recipes, as TOML files."""
