"""How we behave at the venue: rates of fills and messages, own trades, orders in doubt, errors."""
