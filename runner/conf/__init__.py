"""The configurations: a folder for each kind of part, a file for each choice."""
