"""The migrations: every step from an empty database to the tables of ``models``.

Alembic runs them by their path; nothing imports them but ``services.schema``, and that by name.
``HEAD`` names the newest one, so that two branches that each add a migration conflict in Git
instead of at somebody's start. A new one comes from the template in ``script.py.mako``.
"""
