"""The spec runner: busted's and luassert's interface in Lua on our kernel, for tests that may suspend."""
