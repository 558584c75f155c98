"""The steps: each does something, looks at what came of it, and gives what is worth saying."""
