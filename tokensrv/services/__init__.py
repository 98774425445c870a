"""The verbs of tokensrv. Each public one is one transaction, its events included.

Every verb takes the Store first and, when it changes something, the Origin of the request
second. Values leave this floor (``records``), rows do not.

``lifecycle`` is about tokens, ``directory`` about users and clients, ``keys`` about all that signs,
``account`` about what a user does with his own account; ``introspection`` and ``gates`` decide who
is let in, ``trail`` records it, ``reports`` and ``metering`` tell of it. What they share stands
here: ``authority`` (locks, and who may), ``freshness``, ``schema``, ``pages``, ``submissions``.
"""
