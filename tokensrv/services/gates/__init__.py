"""Gates: credentials in front of what is not tokensrv's own, the same at every gate.

``entry`` is the decision with its trail, ``passwords`` the account's own password where it counts,
``turned_away`` the record of who was not let in.
"""
