-- Replace a lease that is still there with the list that was loaded under it.
-- Returns 1 if the lease was replaced, 0 if it is gone.
local key = KEYS[1]           -- the user's list
local lease = ARGV[1]         -- as it was placed
local stamped_list = ARGV[2]  -- with the epoch of the lease
local lifetime_ms = ARGV[3]   -- of the list

if redis.call('GETRANGE', key, 0, #lease) ~= lease then
    return 0
end
redis.call('SET', key, stamped_list, 'PX', lifetime_ms)
return 1
