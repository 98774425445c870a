"""The base of all schemas: keys that nobody knows are ignored, as GitLab does."""

from __future__ import annotations

from marshmallow import EXCLUDE, Schema


class Wire(Schema):
    """Something on the wire: parameters that come in, or an object that goes out."""

    class Meta:
        """What holds for all of them."""

        unknown = EXCLUDE
