-- Ends what a call holds, counts what it took, and adds its row to the ledger's stream; once.
--
-- KEYS  held, unwritten, calls of the process, stream, then one for each hold
-- ARGV  call id, the time or '' for the server's, second of the admission, tokens, cost, '1' with a
--       row, the row, how, a call whose settling nobody will ask for again; then for each hold its
--       kind and what was taken
--       how: '' as usual; 'e' settled elsewhere, only its holds are to end; 'n' admitted elsewhere
-- gives the row's id in the stream, or ''

local call = redis.call
local held, unwritten, calls, stream = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, admitted, tokens, cost = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local with_row, how = ARGV[6] == '1', ARGV[8]
local BUCKETS = 61
local BUDGET_KEPT = 259200

local entry = call('HGET', calls, id)
local state = entry and string.sub(entry, 1, 1)
if state == 's' then return string.sub(entry, 2) end
if not entry and how == 'e' then return '' end
-- Without an entry the server has lost what it counted: it counts the call now.
local lost = not entry
local holding = entry and state ~= 'x'

local now
local function count(key, more)
  if more == 0 then return end
  if not now then now = math.floor(tonumber(ARGV[2]) or tonumber(call('TIME')[1])) end
  local found = call('HMGET', key, 'n', 't', admitted)
  local head, total, bucket = tonumber(found[1]), tonumber(found[2]) or 0, tonumber(found[3]) or 0
  if not head or now - head >= BUCKETS then
    if head then call('DEL', key) end
    head, total, bucket = now, 0, 0
    call('HSET', key, 'n', now)
    call('EXPIRE', key, 2 * BUCKETS)
  end
  local latest = math.max(now, head)
  if admitted <= latest - BUCKETS or admitted > head then
    if more < 0 and admitted <= latest - BUCKETS then return end
    admitted = head
    bucket = tonumber(call('HGET', key, head)) or 0
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
  if with_row then call('HINCRBY', unwritten, key, cost) end
end

local budgets, fields, taken = {cost}, {}, {}
for i = 1, #KEYS - 4 do
  local kind, amount, key = ARGV[8 + 2 * i], tonumber(ARGV[9 + 2 * i]), KEYS[4 + i]
  if kind == 't' then
    count(key, lost and tokens or tokens - amount)
  elseif kind == 'r' then
    if lost then count(key, amount) end
  elseif kind == 'b' and cost ~= 0 and how ~= 'e' then
    spend(key)
    budgets[#budgets + 1] = key
  end
  if kind ~= 'r' then
    local n = #fields
    fields[n + 1], fields[n + 2] = key, '#' .. key
    taken[n + 1], taken[n + 2] = amount, 1
  end
end

if holding and #fields > 0 then
  local rest, gone = {}, {}
  for i, amount in ipairs(call('HMGET', held, unpack(fields))) do
    local left = (amount or 0) - taken[i]
    if left > 0 then
      rest[#rest + 1], rest[#rest + 2] = fields[i], left
    else
      gone[#gone + 1] = fields[i]
    end
  end
  if #rest > 0 then call('HSET', held, unpack(rest)) end
  if #gone > 0 then call('HDEL', held, unpack(gone)) end
end

local added = ''
if with_row then
  if #budgets > 1 then
    added = call('XADD', stream, '*', 'r', ARGV[7], 'c', cmsgpack.pack(budgets))
  else
    added = call('XADD', stream, '*', 'r', ARGV[7])
  end
end
call('HDEL', calls, ARGV[9])
call('HSET', calls, id, 's' .. added)
return added
