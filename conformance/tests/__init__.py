"""This project's own tests, by marker: the folder names it."""
