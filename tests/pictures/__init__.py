"""The pictures of the README: what commands print on a terminal."""
