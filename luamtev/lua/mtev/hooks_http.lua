-- mtev.hooks.http: functions for the hooks of the HTTP server, to be named to mtev.hook.

local hooks_http = {}

-- Has a response go out as it is written, whatever the client takes.  *context*: a handler's; what a hook gets needs nothing
-- done, for only handlers ask for compression.
function hooks_http.disable_compression(context)
  if not context.option then return MTEV_HOOK_CONTINUE end
  local request = context:request()
  request:opts(bit.band(request:opts(), bit.bnot(bit.bor(context.GZIP, context.DEFLATE))))
  return MTEV_HOOK_CONTINUE
end

return hooks_http
