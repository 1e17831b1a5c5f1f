-- A request runs at most once: it ends Healthy or Degraded and does not change afterwards.
local hs = { status = "Progressing", message = "No operator has processed this request yet." }
if obj.status == nil or obj.status.conditions == nil then
  return hs
end

for _, condition in ipairs(obj.status.conditions) do
  if condition.status == "True" then
    if condition.type == "Complete" then
      return { status = "Healthy", message = condition.message }
    elseif condition.type == "Failed" then
      return { status = "Degraded", message = condition.message }
    elseif condition.type == "Reconciling" then
      hs.message = condition.message
      if condition.reason == "Paused" then
        hs.status = "Suspended"
      end
    end
  end
end
return hs
