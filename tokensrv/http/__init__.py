"""What every edge shares: who calls, what may be called, how a refusal looks on the wire.

``parse`` reads requests and knows no framework; the rest ties it to Flask. ``setup`` puts it around
an application: the package by itself loads nothing, for the command line needs no framework.
"""
