-- Budgets: limits set by hand, the ledger, and runs that wait for room. Amounts are tokens, millionths of a USD, tool
-- calls and milliseconds of driven time.

-- Limits that a person set. Those written in files stay there. Null is no limit.
create table budgets (
  -- `installation`, `environment`, `agent` or `run`, and its row; 0 for the installation.
  scope text not null,
  scope_id integer not null,
  -- `run`: each run by itself; `day`: a day in UTC.
  period text not null,
  tokens integer,
  micro_usd integer,
  calls integer,
  time_ms integer,
  set_by text not null,
  set_at integer not null,
  constraint budgets_pk primary key (scope, scope_id, period)
) strict, without rowid;

-- What was spent and is reserved, only where a limit holds.
create table budget_accounts (
  scope text not null,
  scope_id integer not null,
  -- Days since 1970 in UTC; -1 for an account that is not by day.
  day integer not null,
  tokens integer not null default 0,
  micro_usd integer not null default 0,
  calls integer not null default 0,
  time_ms integer not null default 0,
  tokens_reserved integer not null default 0,
  micro_usd_reserved integer not null default 0,
  -- What people added to the limits of a run.
  tokens_added integer not null default 0,
  micro_usd_added integer not null default 0,
  calls_added integer not null default 0,
  time_ms_added integer not null default 0,
  -- The limits that held last, to be shown.
  tokens_limit integer,
  micro_usd_limit integer,
  calls_limit integer,
  time_ms_limit integer,
  constraint budget_accounts_pk primary key (scope, scope_id, day)
) strict, without rowid;

-- Parked runs that wait for room in an account.
create table budget_waits (
  run_id integer constraint budget_waits_pk primary key
    constraint budget_waits_run_fk references agent_runs (id) on delete cascade,
  scope text not null,
  scope_id integer not null,
  day integer not null,
  -- 1 where a settlement may make room; 0 where the limit is reached.
  crowded integer not null,
  -- When it looks again by itself; null where somebody must raise the limit.
  wakes_at integer
) strict;

create index budget_waits_account on budget_waits (scope, scope_id, day);
create index budget_waits_wakes_at on budget_waits (wakes_at) where wakes_at is not null;
