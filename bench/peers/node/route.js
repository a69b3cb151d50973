// The event and the response of the authorizers, shared by both libraries.
export const issuer = process.env.ISSUER;
export const audience = process.env.AUDIENCE;
export const keys = JSON.parse(process.env.JWKS);
const routes = JSON.parse(process.env.ROUTE_SCOPES);

/** The token of the event. */
export function bearer(event) {
  return event.headers.authorization.slice("Bearer ".length);
}

/** The answer for a caller with those claims. */
export function answer(event, { sub, client_id, jti, scope }) {
  const granted = scope.split(" ");
  const isAuthorized = (routes[event.routeKey] ?? []).every((needed) => granted.includes(needed));
  return { isAuthorized, context: { sub, client_id, jti, scope } };
}
