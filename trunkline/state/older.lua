-- The oldest rows of the ledger's stream that came so many milliseconds ago or earlier.
--
-- KEYS  stream
-- ARGV  milliseconds, how many at most

local time = redis.call('TIME')
local last = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[1])
return redis.call('XRANGE', KEYS[1], '-', string.format('%.0f', last), 'COUNT', ARGV[2])
