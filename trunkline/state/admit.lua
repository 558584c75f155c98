-- Takes every hold of a call, or none. See contract.py, and keys.py for what the keys are.
--
-- KEYS  held, unwritten, calls of the process, then one for each hold
-- ARGV  call id, the time or '' for the server's, '1' when asked again; then for each hold its kind
--       (a capital where it is elastic), maximum and amount, and of a budget period and spent or ''
-- gives {'a', second, taken, left, taken, left …}, {'r', index, left, milliseconds or -1},
--       or {'m', index …}; indexes from 0

local call = redis.call
local held, unwritten, calls = KEYS[1], KEYS[2], KEYS[3]
local BUCKETS = 61
local SOON = 1000
local MISSING_KEPT = 15
local BUDGET_KEPT = 259200

local now = tonumber(ARGV[2])
if not now then
  local time = call('TIME')
  now = time[1] + time[2] / 1000000
end
local second = math.floor(now)

-- Brings a window to this second: the second it is at, what is in it, and what is in that second.
local function window(key)
  local found = call('HMGET', key, 'n', 't', second)
  local head, total = tonumber(found[1]), tonumber(found[2]) or 0
  if head == second then return head, total, tonumber(found[3]) or 0 end
  if not head then return second, 0, nil end
  if second < head then return head, total, tonumber(call('HGET', key, head)) or 0 end
  if second - head >= BUCKETS then
    call('DEL', key)
    return second, 0, nil
  end
  local gone = {}
  for passed = head + 1 - BUCKETS, second - BUCKETS do gone[#gone + 1] = passed end
  for _, amount in ipairs(call('HMGET', key, unpack(gone))) do
    if amount then total = total - amount end
  end
  call('HDEL', key, unpack(gone))
  call('HSET', key, 'n', second, 't', total)
  call('EXPIRE', key, 2 * BUCKETS)
  return second, total, 0
end

-- Milliseconds until an amount fits into a window; -1 where it never does.
local function window_wait(key, at, total, maximum, least)
  if least > maximum then return -1 end
  local needed = total - maximum + least
  if needed <= 0 then return SOON end
  local seconds = {}
  for passed = at + 1 - BUCKETS, at do seconds[#seconds + 1] = passed end
  local buckets = call('HMGET', key, unpack(seconds))
  for i, passed in ipairs(seconds) do
    needed = needed - (tonumber(buckets[i]) or 0)
    if needed <= 0 then return math.max(1, math.ceil((passed + BUCKETS - now) * 1000)) end
  end
  return -1
end

-- What the database may lack of a budget: what lies in the stream, and what was settled since the
-- database was to be asked.
local function beyond(key, since, moment)
  local lying = tonumber(call('HGET', unwritten, key)) or 0
  if since and now - (tonumber(moment) or 0) <= MISSING_KEPT then
    return math.max(lying, tonumber(since))
  end
  return lying
end

-- What a budget has spent; nil where the database has to say.
local function spent_of(key, period, given)
  local found = call('HMGET', key, 's', 'p')
  local spent = tonumber(found[1])
  if spent then
    if period > tonumber(found[2] or 0) then
      spent = 0
      call('HSET', key, 's', 0, 'p', period)
    end
    return spent
  end
  local since = call('HMGET', key, 'd', 'm', 'o', 'f')
  if given and not since[4] then
    spent = given + beyond(key, since[1], since[2]) + (tonumber(since[3]) or 0)
    call('HDEL', key, 'd', 'm', 'o')
    call('HSET', key, 's', spent, 'p', period)
  else
    if since[4] then call('HDEL', key, 'f') end
    call('HSET', key, 'd', beyond(key, since[1], since[2]), 'm', now)
  end
  call('EXPIRE', key, BUDGET_KEPT)
  return spent
end

local kinds, elastic, maxima, amounts, periods, given, fields = {}, {}, {}, {}, {}, {}, {}
local at, count = 4, #KEYS - 3
for i = 1, count do
  local kind = string.lower(ARGV[at])
  kinds[i], elastic[i] = kind, kind ~= ARGV[at]
  maxima[i], amounts[i] = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  if kind == 'b' then
    periods[i], given[i] = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
    at = at + 5
  else
    at = at + 3
  end
  fields[2 * i - 1], fields[2 * i] = KEYS[3 + i], '#' .. KEYS[3 + i]
end

local before = ARGV[3] == '1' and call('HGET', calls, ARGV[1])
before = before and string.sub(before, 1, 1) ~= 'x' and cmsgpack.unpack(before)

local holding = count > 0 and call('HMGET', held, unpack(fields)) or {}
local missing, refused = {'m'}, nil
local heads, totals, buckets, taken, outcome = {}, {}, {}, {}, {'a', before and before[1] or second}
for i = 1, count do
  local kind, key, maximum, amount = kinds[i], KEYS[3 + i], maxima[i], amounts[i]
  local reserved, open = tonumber(holding[2 * i - 1] or 0), tonumber(holding[2 * i] or 0)
  local used
  if kind == 'b' then
    used = spent_of(key, periods[i], given[i])
    if not used then
      missing[#missing + 1] = i - 1
      used = 0
    end
    totals[i] = used
    used = used + reserved
  elseif kind == 'p' then
    used = reserved
  else
    heads[i], used, buckets[i] = window(key)
    totals[i] = used
  end
  local room = maximum - used
  if before then
    amount = before[1 + 3 * i]
    room = room + amount
  elseif amount > room then
    if elastic[i] and room > 0 and open == 0 then
      amount = room
    elseif not refused then
      local least = elastic[i] and 1 or amount
      local wait = -1
      if kind == 'p' then
        if amount <= maximum then wait = SOON end
      elseif kind == 'b' then
        if open > 0 and totals[i] + least <= maximum then wait = SOON end
      else
        wait = window_wait(key, heads[i], totals[i], maximum, least)
      end
      refused = {'r', i - 1, math.max(0, room), wait}
    end
  end
  taken[i] = amount
  outcome[2 * i + 1], outcome[2 * i + 2] = amount, room - amount
end

if #missing > 1 then return missing end
if refused then return refused end
if before then return outcome end

local entry, changed = {second}, {}
for i = 1, count do
  local kind, key = kinds[i], KEYS[3 + i]
  entry[3 * i - 1], entry[3 * i], entry[3 * i + 1] = kind, key, taken[i]
  if buckets[i] then
    call('HSET', key, heads[i], buckets[i] + taken[i], 't', totals[i] + taken[i])
  elseif heads[i] then
    call('HSET', key, 'n', heads[i], heads[i], taken[i], 't', taken[i])
    call('EXPIRE', key, 2 * BUCKETS)
  end
  if kind ~= 'r' then
    local n = #changed
    changed[n + 1], changed[n + 2] = key, (holding[2 * i - 1] or 0) + taken[i]
    changed[n + 3], changed[n + 4] = '#' .. key, (holding[2 * i] or 0) + 1
  end
end
if #changed > 0 then call('HSET', held, unpack(changed)) end
call('HSET', calls, ARGV[1], cmsgpack.pack(entry))
return outcome
