"""Source documents as the web application writes them: read, checked, and nothing else."""
