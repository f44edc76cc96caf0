-- Requests whose senders gave them a key (Idempotency-Key), so that one that is sent again is not done again. A row is there before
-- its request is done, and goes a day later.

create table request_keys (
  user_id bigint not null constraint request_keys_user_fk references users (id),
  key text not null,
  -- What was asked, as a hash, sealed: it may hold what a hash alone would not hide, such as a short value of a variable.
  print bytea not null,
  -- The run that it started, written in the transaction that started it. No reference: one that was removed was started all the same.
  run_id bigint,
  -- The status of its answer, and that answer, sealed; a status alone where the answer is not told twice. Neither while it is at work.
  status bigint,
  answer bytea,
  -- Who is at work at it. A write that carries an older fence changes nothing.
  fence bigint not null,
  lease_worker text not null,
  lease_host text not null,
  lease_pid bigint not null,
  lease_pid_start bigint not null,
  lease_boot text not null,
  lease_until bigint not null,
  created_at bigint not null,
  constraint request_keys_pk primary key (user_id, key)
);

create index request_keys_created on request_keys (created_at);
