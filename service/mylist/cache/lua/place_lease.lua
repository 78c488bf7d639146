-- Place a read lease on an empty key. A list of another epoch counts as nothing.
-- Returns false if the lease was placed, else what the key holds (a list without its epoch).
local key = KEYS[1]          -- the user's list
local lease = ARGV[1]        -- its tag, a nonce, the epoch
local lifetime_ms = ARGV[2]  -- of the lease
local epoch = ARGV[3]        -- of this primary

local LIST_TAG = 'L'

local tag = redis.call('GETRANGE', key, 0, 0)
if tag == LIST_TAG and redis.call('GETRANGE', key, 1, #epoch) == epoch then
    return LIST_TAG .. redis.call('GETRANGE', key, 1 + #epoch, -1)
end
if tag ~= '' and tag ~= LIST_TAG then
    return redis.call('GET', key)
end
redis.call('SET', key, lease, 'PX', lifetime_ms)
return false
