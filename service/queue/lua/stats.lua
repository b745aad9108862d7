-- Returns {waiting, running, seconds that the oldest waiting job has waited, heartbeats...}, each
-- heartbeat followed by the time it came.
local t = now()
insist()
tidy(t)
local oldest = t
local waiting = redis.call('ZCARD', REQUEUED)
for _, id in ipairs(redis.call('ZRANGE', REQUEUED, 0, 15)) do
  oldest = math.min(oldest, tonumber(redis.call('HGET', JOB .. id, 'created_at') or t))
end
for _, priority in ipairs(PRIORITIES) do
  waiting = waiting + redis.call('ZCARD', WAITING[priority])
  local head = redis.call('ZRANGE', WAITING[priority], 0, 0, 'WITHSCORES')
  oldest = math.min(oldest, tonumber(head[2] or t))
end
local answer = {waiting, redis.call('ZCARD', LEASES), stamp(t - oldest)}
local live = redis.call('ZRANGEBYSCORE', WORKERS, stamp(t - WORKER_TTL_S), '+inf', 'WITHSCORES')
for i = 1, #live, 2 do
  local said = redis.call('GET', WORKER .. live[i])
  if said then
    answer[#answer + 1] = said
    answer[#answer + 1] = live[i + 1]
  end
end
return answer
