"""The kinds of second factors: apps, passkeys, and the recovery codes that stand in for both."""
