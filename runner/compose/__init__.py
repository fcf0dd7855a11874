"""Composes and checks the configuration of a command line, and builds objects from a configuration."""
