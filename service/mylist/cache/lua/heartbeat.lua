-- Write a key that expires, as a fence would be written.
-- Returns what INFO says of the replication, whether this is a primary and its epoch; nothing if no script may ask.
local key = KEYS[1]          -- one of no user
local lifetime_ms = ARGV[1]  -- of the key; one heartbeat in so many milliseconds really writes

redis.call('SET', key, '', 'NX', 'PX', lifetime_ms)
local info = redis.pcall('INFO', 'replication')
if type(info) == 'table' then
    return ''
end
return info
