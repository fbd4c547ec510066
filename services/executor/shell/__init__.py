"""What connects the core of executor to sockets, clocks and disks."""
