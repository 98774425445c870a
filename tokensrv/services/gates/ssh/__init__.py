"""What people do over SSH: how they come in, what they reach there, and a token to take away.

sshd asks by a process of its own each time, so that nothing is remembered but in the database.
"""
