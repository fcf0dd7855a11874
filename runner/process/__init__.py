"""Resources of the whole process: signals, the terminal, files, memory and compiled programs."""
