-- The sort of thing that a run waits on, beside the words for people: nothing is decided by words. It means something only
-- beside `waiting_on`, of which an older Station writes the words alone; then a hint may be missing, and nothing else.

alter table agent_runs add column waiting_kind text;

update agent_runs set waiting_kind = case
    when waiting_on like 'approval of %' then 'approval'
    when waiting_on like 'a person: %' then 'outcome'
    when waiting_on like 'a person, %' then 'fault'
    when waiting_on like 'budget%' then 'budget'
    when waiting_on like 'a price: %' then 'price'
    when waiting_on like 'a newer Station: %' then 'newer_station'
    when waiting_on like 'rate limit of %' then 'rate'
    when waiting_on like 'agent %' then 'agent'
  end
  where status = 'waiting' and waiting_on is not null;
