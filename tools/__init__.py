"""House rules as small checks, each a command that exits non-zero with the place to look."""
