"""Schemas: parameters into values, records into GitLab's objects. Nothing else uses marshmallow."""
