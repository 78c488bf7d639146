-- What wrk asks: wrk … URL -- KIND PREFIX USERS ETAGS
-- Each request is made before the run, so that making requests costs the generator next to nothing.

local ready = {}
local count = 0
local at = 0

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

function init(arguments)
  local kind, prefix, users = arguments[1], arguments[2], tonumber(arguments[3])
  local etags = kind == "unchanged" and read(arguments[4])
  math.randomseed(1)
  for number = 1, 2000 do
    ready[number] = kinds[kind](string.format("%s%08d", prefix, math.random(users)), etags)
  end
  count = #ready
end

function request()
  at = at % count + 1
  return ready[at]
end
