"""The deployment package: which files it has, and that it installs, imports and indexes in a clean place."""
