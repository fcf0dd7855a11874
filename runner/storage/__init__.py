"""The files of a run: its directory, checkpoints and lock, and which of them may be trusted."""
