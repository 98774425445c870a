"""The tables. Importing this package makes ``Base.metadata`` complete."""

from tokensrv.models.assertion import Assertion
from tokensrv.models.client import Client
from tokensrv.models.event import Event, EventHead
from tokensrv.models.lease import CacheLease, CacheServer
from tokensrv.models.signing_key import SigningKey
from tokensrv.models.token import Token
from tokensrv.models.user import User

__all__ = [
    "Assertion",
    "CacheLease",
    "CacheServer",
    "Client",
    "Event",
    "EventHead",
    "SigningKey",
    "Token",
    "User",
]
