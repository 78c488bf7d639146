-- What wrk asks: wrk … URL -- KIND PREFIX USERS ETAGS [RATE]
-- Each request is made before the run, so that making requests costs the generator next to nothing.
-- With a rate the loop is open: requests are due at even intervals, however long the answers take, and a connection
-- that is free takes the next. It is sent when it is due, to the millisecond of wrk's timers; at once if that is over.

local ready = {}
local count = 0
local at = 0

local LATE_MS = 1
sent, late = 0, 0 -- requests of an open loop; how many of them more than LATE_MS after they were due

local function get(path, user, etag)
  return wrk.format("GET", path, { ["user-id"] = user, ["if-none-match"] = etag })
end

local titles = {}
for number = 1, 100 do
  titles[number] = string.format('"10ad%020x"', number)
end
local asked = '{"contentIds":[' .. table.concat(titles, ",") .. "]}"

local function contains(user)
  local headers = { ["user-id"] = user, ["content-type"] = "application/json" }
  return wrk.format("POST", "/api/mylist/contains", headers, asked)
end

local kinds = {
  empty = function() return get("/empty") end,
  livez = function() return get("/livez") end,
  fixed = function() return get("/fixed") end,
  redis = function(user) return get("/redis", user) end,
  items20 = function(user) return get("/api/mylist/items", user) end,
  items100 = function(user) return get("/api/mylist/items?pageSize=100", user) end,
  title20 = function(user) return get("/api/mylist/items?sort=title", user) end,
  movies20 = function(user) return get("/api/mylist/items?type=movie&sort=title", user) end,
  cursor20 = function(user) return get("/api/mylist/items?cursor=", user) end,
  ids20 = function(user) return get("/api/mylist/items?view=ids", user) end,
  words20 = function(user) return get("/api/mylist/items?q=movie", user) end,
  random20 = function(user) return get("/api/mylist/items?sort=random&seed=1", user) end,
  contains100 = contains,
  export = function(user) return get("/api/mylist/export", user) end,
  unchanged = function(user, etags) return get("/api/mylist/items", user, etags[user]) end,
  stats = function(user) return get("/api/mylist/stats", user) end,
}

local function read(file)
  local etags = {}
  for line in io.lines(file) do
    local user, etag = line:match("^(%S+) (%S+)$")
    etags[user] = etag
  end
  return etags
end

local function clock_ms()
  local ffi = require("ffi")
  ffi.cdef("typedef struct { long s; long ns; } moment; int clock_gettime(int clock, moment *now);")
  local monotonic, now = 1, ffi.new("moment")
  return function()
    ffi.C.clock_gettime(monotonic, now)
    return tonumber(now.s) * 1000 + tonumber(now.ns) / 1e6
  end
end

local function open_loop(rate)
  local now_ms = clock_ms()
  local first_due, taken

  function delay()
    local now = now_ms()
    first_due, taken = first_due or now, (taken or -1) + 1
    return math.max(0, math.floor(first_due + taken * 1000 / rate - now))
  end

  function request()
    if first_due then -- wrk asks for a request before it begins, and throws it away
      late = late + (now_ms() > first_due + sent * 1000 / rate + LATE_MS and 1 or 0)
      sent = sent + 1
    end
    return following()
  end
end

function following()
  at = at % count + 1
  return ready[at]
end

request = following

function init(arguments)
  local kind, prefix, users = arguments[1], arguments[2], tonumber(arguments[3])
  local etags = kind == "unchanged" and read(arguments[4])
  math.randomseed(1)
  for number = 1, 2000 do
    ready[number] = kinds[kind](string.format("%s%08d", prefix, math.random(users)), etags)
  end
  count = #ready
  if arguments[5] then
    open_loop(tonumber(arguments[5]))
  end
end

local thread

function setup(only)
  thread = only
end

function done()
  if thread:get("sent") > 0 then
    print(string.format("Sent late: %d of %d", thread:get("late"), thread:get("sent")))
  end
end
