"""How the machinery is: heartbeats, builds, restarts, clocks, event loops, the exchange's own state."""
