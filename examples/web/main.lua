-- Runs once at the start, beside the web handlers.

module(..., package.seeall)

function main()
  mtev.log("error", "serving notes on port %s\n", mtev.conf_get_string("(//listener)[1]/@port"))
end
