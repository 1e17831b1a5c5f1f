-- Healthy: others can rely on the list. Degraded: they cannot, or a person must act. Suspended: nothing happens, on
-- purpose. Progressing: it continues by itself.
local hs = { status = "Progressing", message = "No operator has processed this connection yet." }
if obj.status == nil or obj.status.conditions == nil then
  return hs
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  conditions[condition.type] = condition
end

local function is(type, status)
  return conditions[type] ~= nil and conditions[type].status == status
end

-- The condition that says what to do: Stalled only has the same reason.
local function cause()
  for _, type in ipairs({ "Connected", "Synced" }) do
    if is(type, "False") and conditions[type].reason == conditions["Stalled"].reason then
      return conditions[type]
    end
  end
  return conditions["Stalled"]
end

local ready = conditions["Ready"]
if ready ~= nil then
  hs.message = ready.message
end

if obj.status.observedGeneration ~= obj.metadata.generation then
  if is("Paused", "True") then
    hs.status = "Suspended"
    hs.message = conditions["Paused"].message
  elseif is("Reconciling", "True") then
    hs.message = conditions["Reconciling"].message
  elseif ready ~= nil and ready.status ~= "Unknown" then
    hs.message = "The changed spec has not been reconciled yet."
  end
elseif obj.spec.suspend then
  hs.status = "Suspended"
  hs.message = "spec.suspend is true. " .. hs.message
elseif is("Stalled", "True") then
  hs.status = "Degraded"
  hs.message = cause().message
elseif is("Ready", "True") then
  hs.status = "Healthy"
elseif is("Ready", "False") and ready.reason == "Stale" then
  hs.status = "Degraded"
elseif is("Paused", "True") then
  hs.status = "Suspended"
  hs.message = conditions["Paused"].message
end
return hs
