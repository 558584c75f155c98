-- Takes every hold of a call, or none. See contract.py, and keys.py for what the keys are.
--
-- KEYS  held, unwritten, calls of the process, then one for each hold
-- ARGV  call id, the time or '' for the server's, '1' when asked again; then for each hold its kind
--       (a capital where it is elastic), maximum and amount, and of a budget period and spent or ''
-- gives {'a', second, taken, left, taken, left …}, {'r', index, left, milliseconds or -1},
--       or {'m', index …}; indexes from 0
--
-- Made to be fast: few commands, few tables, and what is text stays text.

local call, tonumber, KEYS, ARGV = redis.call, tonumber, KEYS, ARGV
local held, calls = KEYS[1], KEYS[3]
local BUCKETS = 61
local SOON = 1000
local MISSING_KEPT = 15
local BUDGET_KEPT = 259200

local now, second, moment
if ARGV[2] == '' then
  local time = call('TIME')
  moment = time[1]
  second = tonumber(moment)
  now = second + time[2] / 1000000
else
  now = tonumber(ARGV[2])
  second = math.floor(now)
  moment = string.format('%d', second)
end

-- Brings a window from an earlier second to this one; what is in it then.
local function advance(key, head, total)
  if second - head >= BUCKETS then
    call('DEL', key)
    return nil
  end
  local gone = {}
  for passed = head + 1 - BUCKETS, second - BUCKETS do gone[#gone + 1] = passed end
  for _, amount in ipairs(call('HMGET', key, unpack(gone))) do
    if amount then total = total - amount end
  end
  call('HDEL', key, unpack(gone))
  call('HSET', key, 'n', moment, 't', total)
  call('EXPIRE', key, 2 * BUCKETS)
  return total
end

-- Milliseconds until an amount fits into a window; -1 where it never does.
local function wait_of(key, head, total, maximum, least)
  if least > maximum then return -1 end
  local needed = total - maximum + least
  if needed <= 0 then return SOON end
  local seconds = {}
  for passed = head + 1 - BUCKETS, head do seconds[#seconds + 1] = passed end
  local buckets = call('HMGET', key, unpack(seconds))
  for i, passed in ipairs(seconds) do
    needed = needed - (tonumber(buckets[i]) or 0)
    if needed <= 0 then return math.max(1, math.ceil((passed + BUCKETS - now) * 1000)) end
  end
  return -1
end

-- What a budget has spent that isn't there, or is of another period; nil where the database has to
-- say. What the database may lack is added: what lies in the stream, and what was settled since the
-- database was to be asked.
local function begin(key, spent, period, given)
  if spent then
    call('HSET', key, 's', 0, 'p', period)
    return 0
  end
  local found = call('HMGET', key, 'd', 'm', 'o', 'f')
  local beyond = tonumber(call('HGET', KEYS[2], key)) or 0
  if found[1] and now - (tonumber(found[2]) or 0) <= MISSING_KEPT then
    beyond = math.max(beyond, tonumber(found[1]))
  end
  if given and not found[4] then
    spent = given + beyond + (tonumber(found[3]) or 0)
    call('HDEL', key, 'd', 'm', 'o')
    call('HSET', key, 's', spent, 'p', period)
  else
    call('HDEL', key, 'f')
    call('HSET', key, 'd', beyond, 'm', now)
  end
  call('EXPIRE', key, BUDGET_KEPT)
  return spent
end

local before = ARGV[3] == '1' and call('HGET', calls, ARGV[1])
local state = before and string.sub(before, 1, 1)
before = before and state ~= 'x' and state ~= 's' and cmsgpack.unpack(before)

local last = #KEYS
local holding = last > 3 and call('HMGET', held, unpack(KEYS, 4)) or nil
local outcome = {'a', before and before[1] or second}
-- Of each window, three: what is in this second, or false in a new one; in all; and the second.
local windows, missing, refused = {}, nil, nil
local at = 4
for i = 1, last - 3 do
  local kind, key = ARGV[at], KEYS[3 + i]
  local maximum, amount = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local reserved = tonumber(holding[i] or 0)
  local used, total, head
  local elastic = kind < 'a'
  if kind == 'b' or kind == 'B' then
    local found = call('HMGET', key, 's', 'p')
    local period = tonumber(ARGV[at + 3])
    total = tonumber(found[1])
    if not total or period > tonumber(found[2]) then
      total = begin(key, total, period, tonumber(ARGV[at + 4]))
      if not total then
        missing = missing or {'m'}
        missing[#missing + 1] = i - 1
        total = 0
      end
    end
    used = total + reserved
    at = at + 5
  else
    if kind == 'p' or kind == 'P' then
      used = reserved
    else
      local found = call('HMGET', key, 'n', 't', moment)
      local bucket = found[3] or 0
      head, total = moment, tonumber(found[2] or 0)
      if found[1] ~= moment then
        local earlier = tonumber(found[1])
        if not earlier then
          bucket = false
        elseif earlier < second then
          total, bucket = advance(key, earlier, total), 0
          if not total then total, bucket = 0, false end
        else
          head = found[1]
          bucket = call('HGET', key, head) or 0
        end
      end
      local n = 3 * i
      windows[n - 2], windows[n - 1], windows[n] = bucket, total, head
      used = total
    end
    at = at + 3
  end
  local room = maximum - used
  if before then
    amount = before[1 + 3 * i]
    room = room + amount
  elseif amount > room then
    if elastic and room > 0 and reserved == 0 then
      amount = room
    elseif not refused then
      local least = elastic and 1 or amount
      local wait = -1
      if head then
        wait = wait_of(key, tonumber(head), total, maximum, least)
      elseif (total or 0) + least <= maximum and reserved > 0 then
        wait = SOON
      end
      refused = {'r', i - 1, math.max(0, room), wait}
    end
  end
  outcome[2 * i + 1], outcome[2 * i + 2] = amount, room - amount
end

if missing then return missing end
if refused then return refused end
if before then return outcome end

local entry, changed = {second}, {}
at = 4
for i = 1, last - 3 do
  local kind, key, taken = string.lower(ARGV[at]), KEYS[3 + i], outcome[2 * i + 1]
  local n = 3 * i
  entry[n - 1], entry[n], entry[n + 1] = kind, key, taken
  if kind == 'r' or kind == 't' then
    local bucket, head = windows[n - 2], windows[n]
    if bucket then
      call('HSET', key, head, bucket + taken, 't', windows[n - 1] + taken)
    else
      call('HSET', key, 'n', head, head, taken, 't', taken)
      call('EXPIRE', key, 2 * BUCKETS)
    end
  end
  if kind ~= 'r' then
    n = #changed
    changed[n + 1], changed[n + 2] = key, (holding[i] or 0) + taken
  end
  at = at + (kind == 'b' and 5 or 3)
end
if changed[1] then call('HSET', held, unpack(changed)) end
call('HSET', calls, ARGV[1], cmsgpack.pack(entry))
return outcome
