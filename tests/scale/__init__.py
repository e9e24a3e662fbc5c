"""``make scale``: much traffic through a real fleet; then limits and figures are checked."""
