-- mtev.hooks.http: functions for the hooks of the HTTP server, to be named to mtev.hook.

local hooks_http = {}

-- Has a response go out as it is written, whatever the client takes: for the hook http_post_request.
function hooks_http.disable_compression(context)
  local request = context:request()
  request:opts(bit.band(request:opts(), bit.bnot(bit.bor(context.GZIP, context.DEFLATE))))
  return MTEV_HOOK_CONTINUE
end

return hooks_http
