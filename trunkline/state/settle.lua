-- Ends what a call holds, counts what it took, and adds its row to the ledger's stream; once.
--
-- KEYS  held, unwritten, calls of the process, stream, then one for each hold
-- ARGV  call id, the time or '' for the server's, second of the admission, tokens, cost, '1' with a
--       row, the row, how, a call whose settling nobody will ask for again; then for each hold its
--       kind and what was taken
--       how: '' as usual; 'e' settled elsewhere, only its holds are to end; 'n' admitted elsewhere
-- gives the row's id in the stream, or ''

local call, tonumber, KEYS, ARGV = redis.call, tonumber, KEYS, ARGV
local held, calls = KEYS[1], KEYS[3]
local id, how, cost = ARGV[1], ARGV[8], ARGV[5]
local with_row = ARGV[6] == '1'
local BUCKETS = 61
local BUDGET_KEPT = 259200

local entry = call('HGET', calls, id)
local state = entry and string.sub(entry, 1, 1)
if state == 's' then return string.sub(entry, 2) end
if not entry and how == 'e' then return '' end
-- Without an entry the server has lost what it counted: it counts the call now.
local lost = not entry
-- What was admitted elsewhere may have been admitted here as well, only that the answer was lost:
-- perhaps with other amounts.
local own = entry and how ~= '' and cmsgpack.unpack(state == 'x' and string.sub(entry, 2) or entry)

local now
local function count(key, more)
  local admitted = ARGV[3]
  if not now then now = math.floor(tonumber(ARGV[2]) or tonumber(call('TIME')[1])) end
  local found = call('HMGET', key, 'n', 't', admitted)
  local head, total, bucket = tonumber(found[1]), tonumber(found[2] or 0), tonumber(found[3] or 0)
  if not head or now - head >= BUCKETS then
    if head then call('DEL', key) end
    head, total, bucket = now, 0, 0
    call('HSET', key, 'n', now)
    call('EXPIRE', key, 2 * BUCKETS)
  end
  local at = tonumber(admitted)
  local passed = at <= math.max(now, head) - BUCKETS
  if passed or at > head then
    if passed and more < 0 then return end
    admitted = head
    bucket = tonumber(call('HGET', key, head) or 0)
  end
  more = math.max(more, 0 - bucket)
  call('HSET', key, admitted, bucket + more, 't', total + more)
end

local function spend(key)
  local found = call('HMGET', key, 's', 'd')
  if found[1] then
    call('HINCRBY', key, 's', cost)
  elseif not with_row then
    call('HINCRBY', key, 'o', cost)
    call('EXPIRE', key, BUDGET_KEPT)
  elseif found[2] then
    call('HINCRBY', key, 'd', cost)
  end
  if with_row then call('HINCRBY', KEYS[2], key, cost) end
end

local budgets, fields, taken
for i = 1, #KEYS - 4 do
  local kind, amount, key = ARGV[8 + 2 * i], ARGV[9 + 2 * i], KEYS[4 + i]
  if own then amount = own[1 + 3 * i] end
  if kind == 'r' then
    if lost then count(key, tonumber(amount)) end
  else
    if kind == 't' then
      local more = tonumber(ARGV[4]) - (lost and 0 or amount)
      if more ~= 0 then count(key, more) end
    elseif kind == 'b' and cost ~= '0' and how ~= 'e' then
      spend(key)
      budgets = budgets or {tonumber(cost)}
      budgets[#budgets + 1] = key
    end
    if not fields then fields, taken = {}, {} end
    fields[#fields + 1] = key
    taken[#taken + 1] = amount
  end
end

if fields and not lost and state ~= 'x' then
  local rest, gone
  for i, amount in ipairs(call('HMGET', held, unpack(fields))) do
    local left = (amount or 0) - taken[i]
    if left > 0 then
      rest = rest or {}
      rest[#rest + 1] = fields[i]
      rest[#rest + 1] = left
    else
      gone = gone or {}
      gone[#gone + 1] = fields[i]
    end
  end
  if rest then call('HSET', held, unpack(rest)) end
  if gone then call('HDEL', held, unpack(gone)) end
end

local added = ''
if with_row then
  if budgets then
    added = call('XADD', KEYS[4], '*', 'r', ARGV[7], 'c', cmsgpack.pack(budgets))
  else
    added = call('XADD', KEYS[4], '*', 'r', ARGV[7])
  end
end
if ARGV[9] ~= '' then call('HDEL', calls, ARGV[9]) end
call('HSET', calls, id, 's' .. added)
return added
