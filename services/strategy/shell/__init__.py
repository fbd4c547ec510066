"""What connects the core of strategy to sockets, clocks and disks."""
