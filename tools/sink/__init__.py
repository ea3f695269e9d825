"""The reference ingest: takes what nodes publish, stores it exactly once, acknowledges what it has stored."""
