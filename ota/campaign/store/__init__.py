"""What is kept of rollouts, in SQLite or PostgreSQL: tables, and a module of queries for each subject.

Every function takes the connection of a transaction that somebody else has begun (`database.Database.transaction`), so
that what belongs together stands or falls together.
"""
