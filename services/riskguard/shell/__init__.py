"""What connects the core of riskguard to sockets, clocks and disks."""
