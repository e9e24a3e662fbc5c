"""The operator's command line: ``fleet``, or ``python -m ops``."""
