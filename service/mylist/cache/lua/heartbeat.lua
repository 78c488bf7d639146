-- Write a key that expires, as a fence would be written: it keeps the highest reign that any process announces.
-- Returns the reign that it held before, false if there was no key; and what INFO says of the replication, whether this
-- is a primary and its epoch; nothing of that if no script may ask.
local key = KEYS[1]          -- one of no user
local reign = ARGV[1]        -- of MongoDB's primary, as the process knows it
local lifetime_ms = ARGV[2]  -- of the key; one heartbeat in so many milliseconds really writes

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
