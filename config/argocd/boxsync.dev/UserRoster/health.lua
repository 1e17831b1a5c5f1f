-- A roster that exists is a complete list; its BoxConnection shows whether it is fresh.
local hs = { status = "Healthy", message = "" }
if obj.revision ~= nil and obj.users ~= nil and obj.revisionTime ~= nil then
  hs.message = "Revision " .. obj.revision .. " of " .. obj.revisionTime .. ": " .. obj.users.total .. " users."
end
return hs
