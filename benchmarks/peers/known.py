"""The services that the benchmark measures beside tokensrv, in the order of its table."""

from benchmarks.peers import Peer
from benchmarks.peers.django_oauth_toolkit import DjangoOauthToolkit
from benchmarks.peers.hydra import Hydra
from benchmarks.peers.keycloak import Keycloak
from benchmarks.peers.node_oidc_provider import NodeOidcProvider

PEERS: tuple[Peer, ...] = (NodeOidcProvider(), Hydra(), Keycloak(), DjangoOauthToolkit())
