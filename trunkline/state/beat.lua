-- Tells that a process lives: what its calls hold stays held. Says which processes no longer do.
--
-- KEYS  processes, held, calls of the process
-- ARGV  the process, the time or '' for the server's, seconds without a sign after which a process
--       is dead
-- gives {how many live, names of dead ones …}

local call = redis.call
local processes, held, calls = KEYS[1], KEYS[2], KEYS[3]
local now = tonumber(ARGV[2])
if not now then
  local time = call('TIME')
  now = time[1] + time[2] / 1000000
end

-- Thought dead, while it was only held up: its calls hold again what they held.
if not call('ZSCORE', processes, ARGV[1]) then
  local entries = call('HGETALL', calls)
  for i = 1, #entries, 2 do
    if string.sub(entries[i + 1], 1, 1) == 'x' then
      local entry = string.sub(entries[i + 1], 2)
      local holds = cmsgpack.unpack(entry)
      for at = 2, #holds, 3 do
        if holds[at] ~= 'r' then
          call('HINCRBY', held, holds[at + 1], holds[at + 2])
        end
      end
      call('HSET', calls, entries[i], entry)
    end
  end
end

call('EXPIRE', calls, 86400)
call('ZADD', processes, now, ARGV[1])
local dead = call('ZRANGEBYSCORE', processes, '-inf', now - tonumber(ARGV[3]))
return {call('ZCARD', processes) - #dead, unpack(dead)}
