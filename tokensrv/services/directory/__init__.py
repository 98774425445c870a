"""The directory: the users and the clients that there are; made, found, changed, switched off."""
