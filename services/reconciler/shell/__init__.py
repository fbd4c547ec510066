"""What connects the core of reconciler to sockets, clocks and disks."""
