module(..., package.seeall)

-- A file of the module's directory, opened for every request.
function handler(rest, config)
  local http = rest:http()
  local fd = mtev.open(config.document_root .. "/file.txt", O_RDONLY)
  http:header("Content-Type", "text/plain")
  http:write_fd(fd, 4096, 0)
  mtev.close(fd)
  http:flush_end()
end
