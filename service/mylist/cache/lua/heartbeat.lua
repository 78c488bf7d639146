-- Write a key that expires, as a fence would be written. It keeps the highest reign that any process announces.
-- Returns the reign that the key held before (false: no key) and the answer to `INFO replication`, which says whether
-- this is a primary and gives its epoch; no answer if scripts must not ask.
local key = KEYS[1]          -- a key that belongs to no user
local reign = ARGV[1]        -- of MongoDB's primary, as the process knows it
local lifetime_ms = ARGV[2]  -- of the key; one heartbeat in this time writes it

local found = false
if not redis.call('SET', key, reign, 'NX', 'PX', lifetime_ms) then
    found = redis.call('GET', key)
    if found and found < reign then
        redis.call('SET', key, reign, 'PX', lifetime_ms)
    end
end
local info = redis.pcall('INFO', 'replication')
if type(info) == 'table' then
    info = ''
end
return {found, info}
