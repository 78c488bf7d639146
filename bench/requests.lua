-- What wrk asks: wrk … URL -- KIND USERS
-- Each kind is made before the run, so that making requests costs the generator next to nothing.

local ready = {}
local count = 0
local at = 0

local function header(user)
  return { ["user-id"] = string.format("user-%08d", user) }
end

local kinds = {
  empty = function() return wrk.format("GET", "/empty") end,
  redis = function(user) return wrk.format("GET", "/redis", header(user)) end,
  items20 = function(user) return wrk.format("GET", "/api/mylist/items", header(user)) end,
  items100 = function(user) return wrk.format("GET", "/api/mylist/items?pageSize=100", header(user)) end,
  stats = function(user) return wrk.format("GET", "/api/mylist/stats", header(user)) end,
}

function init(arguments)
  local kind, users = arguments[1], tonumber(arguments[2])
  math.randomseed(1)
  for number = 1, math.min(users, 2000) do
    ready[number] = kinds[kind](math.random(users))
  end
  count = #ready
end

function request()
  at = at % count + 1
  return ready[at]
end
