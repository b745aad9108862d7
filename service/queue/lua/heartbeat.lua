-- ARGV: worker, what it says or '' for goodbye. Consumers of workers that are gone leave the groups
-- once nothing is pending for them, so that restarts do not pile them up.
local worker, said = ARGV[A + 1], ARGV[A + 2]
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
for _, priority in ipairs(PRIORITIES) do
  if redis.call('EXISTS', STREAM[priority]) == 1 then
    for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', STREAM[priority], GROUP)) do
      local consumer = {}
      for i = 1, #flat, 2 do
        consumer[flat[i]] = flat[i + 1]
      end
      if consumer.pending == 0 and not redis.call('ZSCORE', WORKERS, consumer.name) then
        redis.call('XGROUP', 'DELCONSUMER', STREAM[priority], GROUP, consumer.name)
      end
    end
  end
end
return {'ok'}
