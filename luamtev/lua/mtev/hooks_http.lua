-- mtev.hooks.http: functions for the hooks of the HTTP server, to be named to mtev.hook.

local CONTINUE = MTEV_HOOK_CONTINUE
local bor, bnot, band = bit.bor, bit.bnot, bit.band
local hooks_http = {}

-- Has a response go out as it is written, whatever the client takes.  *context*: a handler's; what a hook gets needs nothing
-- done, for only handlers ask for compression.
function hooks_http.disable_compression(context)
  if not context.option then return CONTINUE end
  local request = context:request()
  request:opts(band(request:opts(), bnot(bor(context.GZIP, context.DEFLATE))))
  return CONTINUE
end

return hooks_http
