"""The reference: an OpenAPI 3.1 document in people's words.

It reads what our own document uses, nothing more: JSON alone, and every object under a name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

Document = Mapping[str, Any]

# What stands beside the methods of a path without being one.
_SHARED: Final = "parameters"
_JSON: Final = "application/json"
_WORDS: Final = {
    "boolean": "true or false",
    "integer": "whole number",
    "null": "null",
    "number": "number",
    "object": "object",
    "string": "text",
}
_FORMATS: Final = {"date": "date", "date-time": "moment", "email": "e-mail", "uri": "address"}
# Where the name of a group says too little to people.
_TITLES: Final = {
    "self_token": "The presented token",
    "user_tokens": "Tokens for users",
    "admin_token": "Tokens by their secret",
    "about": "About the server",
    "explanation": "Explain a token",
}


@dataclass(frozen=True, slots=True)
class Value:
    """A parameter, or a member of an object."""

    name: str
    # Where it stands: path, query or body.
    place: str
    kind: str
    text: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation may answer."""

    status: str
    words: str
    # Of what it consists, "" for nothing.
    kind: str

    @property
    def is_good(self) -> bool:
        """Return whether the operation was carried out."""
        return self.status.startswith("2")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    key: str
    method: str
    path: str
    summary: str
    parameters: tuple[Value, ...]
    body: tuple[Value, ...]
    # A body to begin with, as JSON text; "" where none is taken.
    example: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """The operations about one thing."""

    key: str
    title: str
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class Object:
    """An object that bodies and answers consist of."""

    name: str
    members: tuple[Value, ...]


def groups(document: Document) -> tuple[Group, ...]:
    """Return all operations, in the order of the document."""
    found: dict[str, list[Operation]] = {tag["name"]: [] for tag in document["tags"]}
    for path, item in document["paths"].items():
        for method in item:
            if method != _SHARED:
                found[item[method]["tags"][0]].append(_operation(document, path, method))
    return tuple(Group(key, _title(key), tuple(listed)) for key, listed in found.items())


def objects(document: Document) -> tuple[Object, ...]:
    """Return the objects, by name."""
    schemas = document["components"]["schemas"]
    return tuple(Object(name, _members(schemas[name])) for name in sorted(schemas))


def _operation(document: Document, path: str, method: str) -> Operation:
    item = document["paths"][path]
    said = item[method]
    body = _body(document, said)
    return Operation(
        key=said["operationId"].replace(".", "-"),
        method=method.upper(),
        path=path,
        summary=said["summary"],
        parameters=_parameters((*item.get(_SHARED, ()), *said.get("parameters", ()))),
        body=_members(body),
        example=json.dumps(_example(body), indent=2) if body else "",
        answers=tuple(_answer(status, told) for status, told in sorted(said["responses"].items())),
    )


def _parameters(given: Iterable[Document]) -> tuple[Value, ...]:
    return tuple(
        Value(
            name=each["name"],
            place=each["in"],
            kind=_kind(each["schema"]),
            text=each.get("description", ""),
            is_required=each.get("required", False),
        )
        for each in given
    )


def _members(schema: Document) -> tuple[Value, ...]:
    required = schema.get("required", ())
    return tuple(
        Value(
            name=name,
            place="body",
            kind=_kind(member),
            text=member.get("description", ""),
            is_required=name in required,
        )
        for name, member in schema.get("properties", {}).items()
    )


def _body(document: Document, said: Document) -> Document:
    """Return the schema of what an operation takes, an empty one for nothing."""
    content = said.get("requestBody", {}).get("content", {})
    if _JSON not in content:
        return {}
    name = _referred(content[_JSON]["schema"])
    return cast(Document, document["components"]["schemas"][name])


def _example(body: Document) -> Document:
    """Return a body with all that is required, as far as the document has examples."""
    members = body.get("properties", {})
    return {name: members[name].get("example") for name in body.get("required", ())}


def _answer(status: str, told: Document) -> Answer:
    schema = told.get("content", {}).get(_JSON, {}).get("schema")
    return Answer(status, told["description"], "" if schema is None else _kind(schema))


def _kind(schema: Document) -> str:
    """Return what a value is, in words, such as ``text, at most 255 characters, or null``."""
    if "$ref" in schema:
        return _referred(schema)
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(json.dumps(each).strip('"') for each in schema["enum"])
    types = schema.get("type", ())
    names = [types] if isinstance(types, str) else list(types)
    return " or ".join(_of_type(name, schema) for name in names) or "anything"


def _of_type(name: str, schema: Document) -> str:
    if name == "array":
        return f"list of {_kind(schema['items'])}"
    if name != "string":
        return _WORDS[name]
    words = _FORMATS.get(schema.get("format", ""), _WORDS[name])
    longest = schema.get("maxLength")
    return words if longest is None else f"{words} of at most {longest} characters"


def _referred(schema: Document) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _title(key: str) -> str:
    return _TITLES.get(key, key.replace("_", " ").capitalize())
