"""The trail: what stands in the event log, and how it gets there.

``events`` is the log, ``sudo`` the record of who acted as whom, ``usage`` what requests leave
behind that may be written a little later.
"""
