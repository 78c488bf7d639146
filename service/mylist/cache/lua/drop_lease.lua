-- Delete a lease that is still there.
-- Returns 0.
local key = KEYS[1]    -- the user's list
local lease = ARGV[1]  -- as it was placed

if redis.call('GETRANGE', key, 0, #lease) == lease then
    redis.call('DEL', key)
end
return 0
