"""Accounts: how people sign in, stay signed in, and prove once more who they are.

Nothing of it concerns tokens, which are used without a session.
"""
