"""Checks of `infra/` and the workflows by tools with an environment of their own: `make infra-check`."""
