"""Scenarios and nets that are not part of `runner`."""
