// A token endpoint with oidc-provider and a client in memory. serverless-http adapts Lambda's events.
import Provider from "oidc-provider";
import serverless from "serverless-http";

const key = JSON.parse(process.env.SIGNING_KEY);
const scope = "todo:read todo:write";

const provider = new Provider("https://peer.example", {
  jwks: { keys: [key] },
  scopes: scope.split(" "),
  clientDefaults: { id_token_signed_response_alg: key.alg },
  clients: [
    {
      client_id: process.env.DEMO_CLIENT_ID,
      client_secret: process.env.DEMO_CLIENT_SECRET,
      grant_types: ["client_credentials"],
      response_types: [],
      redirect_uris: [],
    },
  ],
  routes: { token: "/oauth2/token" },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => "https://api.example",
      getResourceServerInfo: () => ({
        scope,
        audience: process.env.AUDIENCE,
        accessTokenFormat: "jwt",
        accessTokenTTL: 900,
        jwt: { sign: { alg: key.alg } },
      }),
    },
  },
});

export const handler = serverless(provider.callback());
