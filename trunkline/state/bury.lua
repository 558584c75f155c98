-- Lets go of what the calls of a dead process hold. That they were is known for an hour more, for a
-- process that was only held up.
--
-- KEYS  processes, held, calls of the process
-- ARGV  the process, the time or '' for the server's, seconds without a sign after which a process
--       is dead

local call = redis.call
local processes, held, calls = KEYS[1], KEYS[2], KEYS[3]
local now = tonumber(ARGV[2]) or tonumber(call('TIME')[1])
local latest = tonumber(call('ZSCORE', processes, ARGV[1]) or now)
if latest > now - tonumber(ARGV[3]) then return 0 end

local entries = call('HGETALL', calls)
for i = 1, #entries, 2 do
  local first = string.sub(entries[i + 1], 1, 1)
  if first ~= 'x' and first ~= 's' then
    local holds = cmsgpack.unpack(entries[i + 1])
    for at = 2, #holds, 3 do
      if holds[at] ~= 'r' then
        local field = holds[at + 1]
        if call('HINCRBY', held, field, 0 - holds[at + 2]) <= 0 then call('HDEL', held, field) end
      end
    end
    call('HSET', calls, entries[i], 'x' .. entries[i + 1])
  end
end
call('EXPIRE', calls, 3600)
call('ZREM', processes, ARGV[1])
return 1
