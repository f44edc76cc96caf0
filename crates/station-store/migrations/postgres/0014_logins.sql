-- Logins at remote servers: what is shown to them, sealed, and who renews it just now.

create table mcp_logins (
  server_id bigint constraint mcp_logins_pk primary key
    constraint mcp_logins_server_fk references mcp_servers (id),
  issuer text not null,
  -- What the token is good for; null where nobody said.
  scope text,
  -- When the token ends; null where nobody said.
  expires_at bigint,
  renews bigint not null,
  -- Tokens, client and addresses, as JSON. Sealed.
  login bytea not null,
  -- Raised by each change: a renewal is written only over what it renews.
  revision bigint not null,
  -- A process renews it until then, by the clock of leases and in that boot. A refresh token can often be used once only.
  claimed_until bigint,
  claimed_boot text,
  updated_at bigint not null
);

-- Clients that were registered here, by issuer: one issuer's are never shown to another.
create table mcp_clients (
  server_id bigint not null constraint mcp_clients_server_fk references mcp_servers (id),
  issuer text not null,
  -- As JSON. Sealed: it may have a secret.
  client bytea not null,
  updated_at bigint not null,
  constraint mcp_clients_pk primary key (server_id, issuer)
);

-- What a server asked for when it wanted a login: the next one asks for that.
create table mcp_challenges (
  server_id bigint constraint mcp_challenges_pk primary key
    constraint mcp_challenges_server_fk references mcp_servers (id),
  resource_metadata text,
  scope text,
  needs_more bigint not null,
  noted_at bigint not null
);
