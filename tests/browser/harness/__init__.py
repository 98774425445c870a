"""What the tests of the pages are made of: a site, people, their steps, and who watches them."""
