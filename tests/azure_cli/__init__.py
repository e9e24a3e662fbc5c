"""The commands of Azure's command line that the docs and workflows print, checked against its own help."""
