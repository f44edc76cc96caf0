-- Links by which a user chooses a password, once: no more than one for each.
create table invitations (
  -- SHA-256 of what the link says, as hex.
  hash text not null constraint invitations_pk primary key,
  user_id bigint not null constraint invitations_user_unique unique constraint invitations_user_fk references users (id),
  created_at bigint not null,
  expires_at bigint not null
);
