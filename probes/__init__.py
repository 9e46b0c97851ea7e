"""What is checked: a deployed stack (`distribution.py`), and a preview before the merge."""
