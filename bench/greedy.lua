-- What one user asks for who takes all that there is: wrk … URL -- KIND USER [FILE]
-- The file holds the body of an import.

local asked

function init(arguments)
  local kind, user, file = arguments[1], arguments[2], arguments[3]
  if kind == "selections" then
    asked = wrk.format("GET", "/api/mylist/items?sort=title", { ["user-id"] = user })
  else
    local headers = { ["user-id"] = user, ["content-type"] = "application/x-ndjson" }
    asked = wrk.format("POST", "/api/mylist/import", headers, io.open(file):read("*a"))
  end
end

function request()
  return asked
end
