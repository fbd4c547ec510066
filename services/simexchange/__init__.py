"""A venue shaped like Kalshi: matching, accounts, budgets, tapes and faults, on one machine."""
