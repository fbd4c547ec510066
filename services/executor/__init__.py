"""Owns every order: the one process that may create one."""
