-- Takes rows out of the ledger's stream that the database has; what they cost, it has as well.
--
-- KEYS  stream, unwritten
-- ARGV  ids

local stream, unwritten = KEYS[1], KEYS[2]
local call = redis.call
for _, id in ipairs(ARGV) do
  local found = call('XRANGE', stream, id, id)[1]
  if found then
    call('XDEL', stream, id)
    local fields = found[2]
    if fields[3] == 'c' then
      local budgets = cmsgpack.unpack(fields[4])
      for i = 2, #budgets do
        if call('HINCRBY', unwritten, budgets[i], 0 - budgets[1]) <= 0 then
          call('HDEL', unwritten, budgets[i])
        end
      end
    end
  end
end
return 0
