-- Returns {models, workers}: per model {name, waiting, running, seconds that its oldest waiting job
-- has waited}, per worker {its heartbeat, the time it came}.
local t = now()
insist()
tidy(t)

local function oldest(model)
  local since = t
  for _, id in ipairs(redis.call('ZRANGE', REQUEUED .. model, 0, 15)) do
    since = math.min(since, tonumber(redis.call('HGET', JOB .. id, 'created_at') or t))
  end
  for _, priority in ipairs(PRIORITIES) do
    local head = redis.call('ZRANGE', waiting(model, priority), 0, 0, 'WITHSCORES')
    since = math.min(since, tonumber(head[2] or t))
  end
  return stamp(t - since)
end

local models, workers = {}, {}
for _, model in ipairs(redis.call('SMEMBERS', MODELS)) do
  local running = redis.call('ZCARD', LEASES .. model)
  models[#models + 1] = {model, count_waiting(model), running, oldest(model)}
end
local live = redis.call('ZRANGEBYSCORE', WORKERS, stamp(t - WORKER_TTL_S), '+inf', 'WITHSCORES')
for i = 1, #live, 2 do
  local said = redis.call('GET', WORKER .. live[i])
  if said then
    workers[#workers + 1] = {said, live[i + 1]}
  end
end
return {models, workers}
