"""The commands that try to refute what the project promises, and the page with their results."""
