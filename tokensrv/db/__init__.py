"""The database: declarative base, column types, engine options and the Store.

``extension`` is Flask-SQLAlchemy's part, which the application alone loads.
``sqlite`` is the only module of tokensrv that names SQLite's driver, ``postgres`` the only one
that names psycopg. Tables are one floor up, in ``models``.
"""

from tokensrv.db.base import Base, Moment, Words
from tokensrv.db.store import Store

__all__ = ["Base", "Moment", "Store", "Words"]
