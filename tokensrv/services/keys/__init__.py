"""Keys: what signs and what is signed with: the instance's own, its clients', its users' for SSH.

The master key seals the private halves that must be stored.
"""
