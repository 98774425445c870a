"""The extension: Flask-SQLAlchemy over the tables, for the application; no command waits for it."""

from __future__ import annotations

from flask_sqlalchemy import SQLAlchemy

from tokensrv.db.base import Base

db = SQLAlchemy(metadata=Base.metadata)
