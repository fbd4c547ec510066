"""What connects the core of simexchange to sockets, clocks and disks."""
