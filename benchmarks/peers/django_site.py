"""The Django settings of a site that is django-oauth-toolkit and nothing else.

Django reads its settings from a module, so this one takes from the environment, at import, what
differs between runs.
"""

import os

DEBUG = False
SECRET_KEY = os.environ["SITE_SECRET_KEY"]
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"]
# Sessions, CSRF and the like belong to pages; no endpoint here has one.
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "oauth2_provider.urls"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["SITE_DATABASE"],
        # Connections stay open, and readers never wait for a writer.
        "CONN_MAX_AGE": None,
        "OPTIONS": {"init_command": "PRAGMA journal_mode = WAL"},
    }
}
OAUTH2_PROVIDER = {
    # The token outlives the run.
    "ACCESS_TOKEN_EXPIRE_SECONDS": 86_400,
    "SCOPES": {"read": "Read"},
}
USE_TZ = True
