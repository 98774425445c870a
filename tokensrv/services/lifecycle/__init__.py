"""The lifecycle of tokens: made, shown, narrowed, rotated, exchanged, revoked and removed."""
