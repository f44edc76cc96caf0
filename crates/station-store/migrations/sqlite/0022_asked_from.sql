-- From where something was asked that the audit tells of: a host or an address, and the key that was shown. Null in rows that were
-- written before, and where nobody asked: then it is no part of the row's hash.
alter table audit add column asked_from text;

-- From where a key was used last.
alter table api_keys add column last_used_from text;
