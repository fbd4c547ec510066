"""The `dora` command."""
