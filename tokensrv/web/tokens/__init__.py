"""What the pages of tokens have in common, one's own and an administrator's."""
