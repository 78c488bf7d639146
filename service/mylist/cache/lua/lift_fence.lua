-- Remove the nonce of one write from the fence. With the last nonce, the fence is deleted.
-- Without a fence, the content of the key may predate the write, so it is deleted.
-- Returns the number of deleted keys.
local key = KEYS[1]    -- the user's list
local nonce = ARGV[1]  -- of the write

local FENCE_TAG = 'W'

local tag = redis.call('GETRANGE', key, 0, 0)
if tag ~= FENCE_TAG then
    return redis.call('DEL', key)
end
local fence = redis.call('GET', key)
local others = {}
for start = #FENCE_TAG + 1, #fence, #nonce do
    local other = string.sub(fence, start, start + #nonce - 1)
    if other ~= nonce then
        others[#others + 1] = other
    end
end
if #others == 0 then
    return redis.call('DEL', key)
end
redis.call('SET', key, FENCE_TAG .. table.concat(others), 'KEEPTTL')
return 0
