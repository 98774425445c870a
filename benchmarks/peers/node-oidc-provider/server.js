// Serves node-oidc-provider with one confidential client, who may take tokens for itself and
// introspect them. Everything else is the library's default, its in-memory adapter included.

import Provider from 'oidc-provider';

const { CLIENT_ID, CLIENT_SECRET, PORT } = process.env;
const DAY_SECONDS = 86_400;

const provider = new Provider(`http://127.0.0.1:${PORT}`, {
  clients: [
    {
      client_id: CLIENT_ID,
      client_secret: CLIENT_SECRET,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    },
  ],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true },
  },
  // The token outlives the run.
  ttl: { ClientCredentials: DAY_SECONDS },
});

provider.listen(Number(PORT), '127.0.0.1');
