-- contract: Modules by name

describe("require", function()
  it("gives the table mtev, as modules begin with", function()
    assert.equal(mtev, require("mtev"))
    assert.equal(mtev, require("mtev.lua_init"))
    local members = 0
    for _ in pairs(require("mtev")) do members = members + 1 end
    assert.is_true(members > 100)
  end)

  it("gives the classes by their names", function()
    for _, name in ipairs({ "HttpClient", "Api", "Proc", "extras", "stats", "zipkin", "consul" }) do
      assert.equal(mtev[name], require("mtev." .. name))
      assert.truthy(mtev[name])
    end
    assert.equal(MTEV_HOOK_CONTINUE, require("mtev.hooks.http").disable_compression({ method = "GET" }))
  end)

  it("has every member that the original has", function()
    for name in ([[cluster reverse_start reverse_stop reverse_details runtime_reload runtime_defunct stats zipkin nc_printf
      coroutine_spawn sleep waitfor notify cancel_coro shared_set shared_get shared_seq shared_notify shared_waitfor semaphore
      thread_self eventer_loop_concurrency watchdog_child_heartbeat watchdog_timeout log log_enabled enable_log print printto
      conf conf_get conf_get_string conf_string conf_get_integer conf_integer conf_get_boolean conf_boolean conf_get_number
      conf_number conf_get_float conf_get_string_list conf_replace_string conf_replace_integer conf_replace_number
      conf_replace_boolean conf_replace_value conf_save conf_mark_changed open write close chmod mkdir mkdir_for_file rmdir unlink
      stat readdir realpath getcwd getpid getppid getuid geteuid getgid getegid uname lockfile_acquire lockfile_release getip_ipv4
      getaddrinfo inet_pton base64_encode base64_decode base32_encode base32_decode crc32 md5 md5_hex sha1 sha1_hex sha256 sha256_hex
      sha256_hash hmac_sha1_encode hmac_sha256_encode utf8tohtml uuid gunzip pcre timezone rand_bytes pseudo_rand_bytes newrsa newreq
      bignum_new bignum_bin2bn bignum_dec2bn bignum_hex2bn bignum_mpi2bn parsejson tojson parsexml spawn exec sh Proc Api extras
      timeval gettimeofday time socket dns websocket_client_connect hook WIFEXITED WEXITSTATUS WIFSIGNALED WTERMSIG WCOREDUMP WIFSTOPPED
      WSTOPSIG WIFCONTINUED]]):gmatch("%S+") do
      assert.truthy(mtev[name], name)
    end
  end)

  it("gives what is missing by name, and that says so when it is used", function()
    assert.error_matches(function() return mtev.stats.counter end, "modules_spec.lua:%d+: mtev.stats.counter is not available")
    assert.equal("mtev.stats", tostring(mtev.stats))
  end)

  it("is not made anew under the spec runner", function()
    assert.error_matches(function() mtev.runtime_reload() end, "modules_spec.lua:%d+: mtev.runtime_reload: the spec runner keeps its state")
    assert.is_false(mtev.runtime_defunct())
  end)

  it("finds nothing under other names", function()
    assert.error_matches(function() require("mtev.nothing") end, "module 'mtev.nothing' not found")
  end)
end)
