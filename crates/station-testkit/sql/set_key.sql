-- Makes a store one that is sealed with another key, as far as it says: `key` is its id.
update station.store set key_id = :'key';
