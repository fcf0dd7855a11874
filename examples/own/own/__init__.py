"""Training algorithms of one's own, beside those of `runner`."""
