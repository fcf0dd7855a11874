"""From a command line to a checked configuration, and from a configuration to objects."""
