"""The JSON edge: tokens, users and clients in the dialect of GitLab's REST API.

Views are thin: parameters become values (``schemas``), one verb of the services is called, and
what it returns becomes GitLab's object. Who may call what is ``http.permissions``' business, how
an error looks ``http.errors``'. ``routes`` adds all of them to an application: the package by
itself loads nothing, for the command line uses the schemas alone.
"""
