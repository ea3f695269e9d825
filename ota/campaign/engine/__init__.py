"""What moves rollouts: each step is one transaction, and what it begins with is what stands in the database.

An engine may die after any of them and be started again, and several may run side by side on PostgreSQL.
"""
