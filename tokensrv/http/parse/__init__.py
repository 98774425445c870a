"""What a request says, read from plain strings and bytes: pure functions, no framework.

Hostile input never raises anything but ``ApiError``; what cannot be read is a value that says so.
"""
