"""What connects the core of marketdata to sockets, clocks and disks."""
