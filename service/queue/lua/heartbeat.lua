-- ARGV: worker, what it says or '' for goodbye. Consumers of workers that are gone leave the groups
-- of its models once nothing is pending for them, so that restarts do not pile them up.
local worker, said = ARGV[A + 1], ARGV[A + 2]
local known = said ~= '' and said or redis.call('GET', WORKER .. worker)
local models = known and cjson.decode(known).models or {}
local t = now()
insist()
if said == '' then
  redis.call('ZREM', WORKERS, worker)
  redis.call('DEL', WORKER .. worker)
else
  redis.call('ZADD', WORKERS, stamp(t), worker)
  redis.call('SET', WORKER .. worker, said, 'PX', ms(WORKER_TTL_S))
end
redis.call('ZREMRANGEBYSCORE', WORKERS, '-inf', '(' .. stamp(t - WORKER_TTL_S))

local function sweep(key)
  if redis.call('EXISTS', key) == 0 then
    return
  end
  for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', key, GROUP)) do
    local consumer = {}
    for i = 1, #flat, 2 do
      consumer[flat[i]] = flat[i + 1]
    end
    if consumer.pending == 0 and not redis.call('ZSCORE', WORKERS, consumer.name) then
      redis.call('XGROUP', 'DELCONSUMER', key, GROUP, consumer.name)
    end
  end
end

for _, model in ipairs(models) do
  for _, priority in ipairs(PRIORITIES) do
    sweep(stream(model, priority))
  end
end
return {'ok'}
