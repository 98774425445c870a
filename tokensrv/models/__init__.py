"""The tables. Importing this package makes ``Base.metadata`` complete."""

from tokensrv.models.assertion import Assertion
from tokensrv.models.client import Client
from tokensrv.models.counting import Attempt, Repetition, Submission, Tally
from tokensrv.models.event import Event, EventHead
from tokensrv.models.lease import CacheLease, CacheServer
from tokensrv.models.link import CalendarFeed, PasswordReset
from tokensrv.models.repository_rule import RepositoryRule
from tokensrv.models.second_factor import Passkey, RecoveryCode, Totp
from tokensrv.models.signing_key import SigningKey
from tokensrv.models.ssh import SshKey, SshLogin
from tokensrv.models.token import Token
from tokensrv.models.user import User
from tokensrv.models.web_session import WebSession

__all__ = [
    "Assertion",
    "Attempt",
    "CacheLease",
    "CacheServer",
    "CalendarFeed",
    "Client",
    "Event",
    "EventHead",
    "Passkey",
    "PasswordReset",
    "RecoveryCode",
    "Repetition",
    "RepositoryRule",
    "SigningKey",
    "SshKey",
    "SshLogin",
    "Submission",
    "Tally",
    "Token",
    "Totp",
    "User",
    "WebSession",
]
