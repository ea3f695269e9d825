"""The good cases among the vectors."""

from protocols.tests.kit import cases_of

GOOD = [case for case in cases_of("iso14443") if "error" not in case["expect"]]
