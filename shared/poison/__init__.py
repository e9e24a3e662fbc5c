"""Documents that could not be processed: their rows, and the container that holds them."""
