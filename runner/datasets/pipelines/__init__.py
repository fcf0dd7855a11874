"""Datasets that other libraries, or functions of the user, read and order."""
