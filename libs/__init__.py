"""Code that more than one process runs; never imports a service."""
