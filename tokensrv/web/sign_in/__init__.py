"""Signing in and out: each step has a module of its own."""

from __future__ import annotations

from tokensrv.web.sign_in import confirm, leaving, new_password, passkey, reset, sign_in, verify

PAGES = (sign_in.bp, verify.bp, passkey.bp, new_password.bp, confirm.bp, reset.bp, leaving.bp)
