-- ARGV: id. Returns {jobs ahead, seconds per job or '', workers of its model, its running jobs}.
-- Ageing is not counted in: a `low` job may start sooner than its place says.
local id = ARGV[A + 1]
local job = read(id)
if not job then
  return absent(id)
end
if job.state ~= 'queued' then
  return {'none'}
end
local model = job.model
local ahead = redis.call('ZRANK', REQUEUED .. model, id)
if not ahead then
  ahead = redis.call('ZCARD', REQUEUED .. model)
  for _, priority in ipairs(PRIORITIES) do
    if priority == job.priority then break end
    ahead = ahead + redis.call('ZCARD', waiting(model, priority))
  end
  ahead = ahead + (redis.call('ZRANK', waiting(model, job.priority), id) or 0)
end

local function serves(worker)
  local said = redis.call('GET', WORKER .. worker)
  local info = said and cjson.decode(said) or {state = 'gone', models = {}}
  for _, served in ipairs(info.models) do
    if served == model then
      return info.state ~= 'draining'
    end
  end
  return false
end

local workers = 0
local live = redis.call('ZRANGEBYSCORE', WORKERS, stamp(now() - WORKER_TTL_S), '+inf')
for _, worker in ipairs(live) do
  if serves(worker) then
    workers = workers + 1
  end
end
local pace = redis.call('GET', PACE .. model) or ''
return {'ok', ahead, pace, workers, redis.call('ZCARD', LEASES .. model)}
