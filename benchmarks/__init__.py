"""Assert the answer, then time it. The map of this folder is README.md."""
