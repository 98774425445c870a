"""The verbs of tokensrv. Each public one is one transaction, its events included.

Every verb takes the Store first and, when it changes something, the Origin of the request
second. Values leave this floor (``records``), rows do not.
"""
