"""What the account won and lost beyond the day: round trips, balances, slippage, sums of positions."""
