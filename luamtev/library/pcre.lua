---@meta
-- Regular expressions.

---Returns true, the match and its groups, or false; again with the same subject: the next.
---@alias mtev.matcher fun(subject: string?, options?: { limit?: integer, limit_recurse?: integer }): boolean, string?, ...

---@param expression string
---@return mtev.matcher?
---@return string? reason
---@return integer? offset
function mtev.pcre(expression) end
