"""The benchmark: its loads, what they measure, how the numbers are shown."""
