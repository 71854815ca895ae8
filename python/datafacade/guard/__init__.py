"""Spare the venues: budgets, breakers and addresses that may be contacted."""
