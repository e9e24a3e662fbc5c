"""What every command of this repository prints, and how it ends: text, tables, JSON, progress, exit codes."""
