"""The WSGI entry point for any server; owns nothing but the name `app`.

`granian --interface wsgi wsgi:app` or `gunicorn wsgi:app`. Settings come from the environment and
the instance folder, as for `tokensrv serve`, which does not need this file.
"""

from tokensrv.app import create_app

app = create_app()
