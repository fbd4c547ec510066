"""The venue: wire structs, signing, budgets, outcomes, REST and WebSocket."""
