"""What belongs to the whole process: signals, the terminal, compiled programs."""
