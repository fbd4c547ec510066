"""Domain, messages, venue client, bus and runtime shared by all services."""
