-- Fence a key for one write: add its nonce to the fence, or replace other content with a fence. A full list stays.
-- Returns the number of items of the cached list, -1 if no list was cached.
local key = KEYS[1]          -- the user's list
local nonce = ARGV[1]        -- of the write
local lifetime_ms = ARGV[2]  -- of the fence
local max_items = ARGV[3]    -- a list with this many is full; 0: no list is full
local epoch = ARGV[4]        -- of this primary

local LIST_TAG = 'L'
local FENCE_TAG = 'W'
-- The offset of a list's two counts. In Redis the epoch comes before them.
local COUNTS_OFFSET = 4

local cached = -1
local tag = redis.call('GETRANGE', key, 0, 0)
if tag == FENCE_TAG then
    redis.call('APPEND', key, nonce)
    redis.call('PEXPIRE', key, lifetime_ms)
    return cached
end
if tag == LIST_TAG and redis.call('GETRANGE', key, 1, #epoch) == epoch then
    local offset = #epoch + COUNTS_OFFSET
    local movies, shows = struct.unpack('>I4I4', redis.call('GETRANGE', key, offset, offset + 7))
    cached = movies + shows
    local limit = tonumber(max_items)
    if limit > 0 and cached >= limit then
        return cached
    end
end
redis.call('SET', key, FENCE_TAG .. nonce, 'PX', lifetime_ms)
return cached
