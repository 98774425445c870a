"""``tokensrv gate registry-key``: what a container registry needs to trust this instance."""

from __future__ import annotations

import json

import click

from tokensrv.cli.asking import confirm, yes_option
from tokensrv.cli.storage import current_store
from tokensrv.services.keys import registry_keys
from tokensrv.services.trail.events import COMMAND_LINE


@click.command("registry-key")
@click.option("--cert", "as_certificates", is_flag=True, help="Certificates (rootcertbundle).")
@click.option("--jwks", "as_key_set", is_flag=True, help="A JSON Web Key set (jwks).")
@click.option("--rotate", is_flag=True, help="Make a new key first, which signs in a day.")
@click.option(
    "--at-once",
    is_flag=True,
    help="With --rotate: the keys before are lost or known to others; remove them, sign now.",
)
@yes_option
def command(
    *, as_certificates: bool, as_key_set: bool, rotate: bool, at_once: bool, yes: bool
) -> None:
    """Print the public keys that a registry must know, and nothing else. Give one of the two forms.

    The first key is made when it is first needed.
    """
    if as_certificates == as_key_set:
        raise click.UsageError("Give either --cert or --jwks.")
    if at_once and not rotate:
        raise click.UsageError("--at-once goes with --rotate.")
    if at_once:
        confirm(
            "Remove the present keys? Registries refuse everybody until they have the new one.",
            yes=yes,
        )
    with current_store() as store:
        if rotate:
            registry_keys.rotate(store, COMMAND_LINE, at_once=at_once)
        else:
            registry_keys.signer(store, COMMAND_LINE)
        if as_certificates:
            click.echo(registry_keys.certificates(store), nl=False)
        else:
            click.echo(json.dumps(registry_keys.key_set(store), indent=2))
