---@meta
-- Random bytes, keys, signing requests, big numbers.

---@param count integer
---@return string
function mtev.rand_bytes(count) end

---@param count integer
---@return string
function mtev.pseudo_rand_bytes(count) end

---@class mtev.csr
---@field subject string
local request = {}

---@return string
function request:pem() end

---@class mtev.rsa
local key = {}

---@return string
function key:pem() end

---@param options { subject: table<string, string>, digest?: string, addext?: table<string, string|string[]> }
---@return mtev.csr
function key:gencsr(options) end

---A new key of so many bits, or the one in a PEM text.
---@async
---@param bits? integer|string
---@return mtev.rsa?
---@return string? reason
function mtev.newrsa(bits) end

---@param pem string
---@return mtev.csr?
---@return string? reason
function mtev.newreq(pem) end

---@class mtev.bignum
---@operator add(mtev.bignum|number): mtev.bignum
---@operator sub(mtev.bignum|number): mtev.bignum
---@operator mul(mtev.bignum|number): mtev.bignum
---@operator div(mtev.bignum|number): mtev.bignum
---@operator mod(mtev.bignum|number): mtev.bignum
---@operator pow(mtev.bignum|number): mtev.bignum
---@operator unm: mtev.bignum
local bignum = {}

---@param a mtev.bignum
---@param b mtev.bignum
---@return integer
function bignum:add(a, b) end

---@param a mtev.bignum
---@param b mtev.bignum
---@return integer
function bignum:sub(a, b) end

---@param a mtev.bignum
---@param b mtev.bignum
---@return integer
function bignum:mul(a, b) end

---@param a mtev.bignum
---@param b mtev.bignum
---@return integer
function bignum:uadd(a, b) end

---@param a mtev.bignum
---@param b mtev.bignum
---@return integer
function bignum:usub(a, b) end

---@param a mtev.bignum
---@param b mtev.bignum
---@return integer
function bignum:mod(a, b) end

---@param a mtev.bignum
---@param b mtev.bignum
---@return integer
function bignum:nnmod(a, b) end

---@param a mtev.bignum
---@param b mtev.bignum
---@return integer
function bignum:exp(a, b) end

---@param a mtev.bignum
---@param b mtev.bignum
---@return integer
function bignum:gcd(a, b) end

---@param a mtev.bignum
---@param b mtev.bignum
---@return integer
function bignum:mod_sqr(a, b) end

---@param a mtev.bignum
---@param b mtev.bignum
---@return integer
function bignum:mod_lshift1(a, b) end

---@param a mtev.bignum
---@param b mtev.bignum
---@return integer
function bignum:mod_lshift1_quick(a, b) end

---@param a mtev.bignum
---@param b mtev.bignum
---@return integer
function bignum:mod_inverse(a, b) end

---@param a mtev.bignum
---@param b mtev.bignum
---@return integer
function bignum:mod_sqrt(a, b) end

---@param a mtev.bignum
---@return integer
function bignum:sqr(a) end

---@param a mtev.bignum
---@return integer
function bignum:lshift1(a) end

---@param a mtev.bignum
---@return integer
function bignum:rshift1(a) end

---@param a mtev.bignum
---@return integer
function bignum:copy(a) end

---@param a mtev.bignum
---@return integer
function bignum:rand_range(a) end

---@param a mtev.bignum
---@return integer
function bignum:pseudo_rand_range(a) end

---@param a mtev.bignum
---@param b mtev.bignum
---@param m mtev.bignum
---@return integer
function bignum:mod_add(a, b, m) end

---@param a mtev.bignum
---@param b mtev.bignum
---@param m mtev.bignum
---@return integer
function bignum:mod_sub(a, b, m) end

---@param a mtev.bignum
---@param b mtev.bignum
---@param m mtev.bignum
---@return integer
function bignum:mod_mul(a, b, m) end

---@param a mtev.bignum
---@param b mtev.bignum
---@param m mtev.bignum
---@return integer
function bignum:mod_add_quick(a, b, m) end

---@param a mtev.bignum
---@param b mtev.bignum
---@param m mtev.bignum
---@return integer
function bignum:mod_sub_quick(a, b, m) end

---@param a mtev.bignum
---@param b mtev.bignum
---@param m mtev.bignum
---@return integer
function bignum:mod_exp(a, b, m) end

---@param a mtev.bignum
---@param b mtev.bignum
---@param m mtev.bignum
---@return integer
function bignum:mod_exp_simple(a, b, m) end

---@param rest mtev.bignum
---@param a mtev.bignum
---@param d mtev.bignum
---@return integer
function bignum:div(rest, a, d) end

---@param bits integer
---@param top integer
---@param bottom integer
---@return integer
function bignum:rand(bits, top, bottom) end

---@param bits integer
---@param top integer
---@param bottom integer
---@return integer
function bignum:pseudo_rand(bits, top, bottom) end

---@param w integer
---@return integer
function bignum:set_word(w) end

---@param w integer
---@return integer
function bignum:add_word(w) end

---@param w integer
---@return integer
function bignum:sub_word(w) end

---@param w integer
---@return integer
function bignum:mul_word(w) end

---@param w integer
---@return integer
function bignum:div_word(w) end

---@param w integer
---@return integer
function bignum:mod_word(w) end

---@param w integer
---@return integer
function bignum:set_bit(w) end

---@param w integer
---@return integer
function bignum:is_bit_set(w) end

---@param w integer
---@return integer
function bignum:mask_bits(w) end

---@return integer
function bignum:get_word() end

---@return integer
function bignum:num_bits() end

---@return integer
function bignum:num_bytes() end

---@return boolean
function bignum:is_negative() end

---@param flag boolean|number
function bignum:set_negative(flag) end

---@param a mtev.bignum
---@return integer
function bignum:cmp(a) end

---@param a mtev.bignum
---@return integer
function bignum:ucmp(a) end

---@param a mtev.bignum
function bignum:swap(a) end

---@return mtev.bignum
function bignum:dup() end

---@return string
function bignum:tobin() end

---@return string
function bignum:todec() end

---@return string
function bignum:tohex() end

---@return string
function bignum:tompi() end

---@param n? integer
---@return mtev.bignum
function mtev.bignum_new(n) end

---@param s string
---@return mtev.bignum?
function mtev.bignum_bin2bn(s) end

---@param s string
---@return mtev.bignum?
function mtev.bignum_dec2bn(s) end

---@param s string
---@return mtev.bignum?
function mtev.bignum_hex2bn(s) end

---@param s string
---@return mtev.bignum?
function mtev.bignum_mpi2bn(s) end
