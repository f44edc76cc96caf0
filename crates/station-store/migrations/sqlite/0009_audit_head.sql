-- The end of the audit's chain, so that rows that are taken out at the end are missed as well.

create table audit_head (
  id integer not null constraint audit_head_pk primary key constraint audit_head_single check (id = 1),
  -- Place and hash of the newest row, sealed: who can write rows, but has no key, cannot move it back.
  head blob not null
) strict;
