"""One rule a file; `libs/common/risk/registry.py` lists them."""
