"""The files of a run: its directory, run info, checkpoints and lock."""
