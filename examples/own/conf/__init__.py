"""Settings of one's own parts, in the folders of `runner`'s."""
