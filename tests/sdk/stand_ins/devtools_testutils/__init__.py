"""Stands in for the test utilities of the SDK's repository, which are not published."""
