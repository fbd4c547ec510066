"""The bus behind one interface: NATS for processes, memory for tests and simulation."""
