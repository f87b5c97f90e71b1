---@meta
-- Configuration, by XPath.

---A value; with `value`, sets it and returns whether the place exists.
---@param path string
---@param value? string
---@return string|boolean|nil
function mtev.conf(path, value) end

---A value; with `value`, sets it and returns whether the place exists.
---@param path string
---@param value? string
---@return string|boolean|nil
function mtev.conf_get(path, value) end

---A value; with `value`, sets it and returns whether the place exists.
---@param path string
---@param value? string
---@return string|boolean|nil
function mtev.conf_string(path, value) end

---A value; with `value`, sets it and returns whether the place exists.
---@param path string
---@param value? string
---@return string|boolean|nil
function mtev.conf_get_string(path, value) end

---A value; with `value`, sets it and returns whether the place exists.
---@param path string
---@param value? integer
---@return integer|boolean|nil
function mtev.conf_integer(path, value) end

---A value; with `value`, sets it and returns whether the place exists.
---@param path string
---@param value? integer
---@return integer|boolean|nil
function mtev.conf_get_integer(path, value) end

---A value; with `value`, sets it and returns whether the place exists.
---@param path string
---@param value? boolean
---@return boolean|boolean|nil
function mtev.conf_boolean(path, value) end

---A value; with `value`, sets it and returns whether the place exists.
---@param path string
---@param value? boolean
---@return boolean|boolean|nil
function mtev.conf_get_boolean(path, value) end

---A value; with `value`, sets it and returns whether the place exists.
---@param path string
---@param value? number
---@return number|boolean|nil
function mtev.conf_number(path, value) end

---A value; with `value`, sets it and returns whether the place exists.
---@param path string
---@param value? number
---@return number|boolean|nil
function mtev.conf_get_number(path, value) end

---A value; with `value`, sets it and returns whether the place exists.
---@param path string
---@param value? number
---@return number|boolean|nil
function mtev.conf_get_float(path, value) end

---Deletes every match of the path, then sets it.
---@param path string
---@param value string
---@return boolean
function mtev.conf_replace_value(path, value) end

---Deletes every match of the path, then sets it.
---@param path string
---@param value string
---@return boolean
function mtev.conf_replace_string(path, value) end

---Deletes every match of the path, then sets it.
---@param path string
---@param value integer
---@return boolean
function mtev.conf_replace_integer(path, value) end

---Deletes every match of the path, then sets it.
---@param path string
---@param value boolean
---@return boolean
function mtev.conf_replace_boolean(path, value) end

---Deletes every match of the path, then sets it.
---@param path string
---@param value number
---@return boolean
function mtev.conf_replace_number(path, value) end

---The text of `child` in every match of `base`.
---@param base string
---@param child string
---@return string[]?
function mtev.conf_get_string_list(base, child) end

---Writes what changed to its files.
---@return boolean
function mtev.conf_save() end

---Has all of it count as changed.
function mtev.conf_mark_changed() end
