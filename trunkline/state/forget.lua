-- Lets what budgets have spent be taken from the database, as it is from now on: what somebody has
-- read there before is no use.
--
-- KEYS  budgets

for _, key in ipairs(KEYS) do
  redis.call('HDEL', key, 's', 'd', 'm')
  redis.call('HSET', key, 'f', 1)
  redis.call('EXPIRE', key, 259200)
end
return 0
