"""The reasons to stop, one file each; `registry.py` lists them."""
