-- ARGV: id, request, owner, model, priority, deadline_s or '', idempotency name or '', body hash
local id, request, owner = ARGV[A + 1], ARGV[A + 2], ARGV[A + 3]
local model, priority, deadline_s = ARGV[A + 4], ARGV[A + 5], ARGV[A + 6]
local name, body_hash = ARGV[A + 7], ARGV[A + 8]
local t = now()

if name ~= '' then
  local earlier = redis.call('GET', IDEMPOTENCY .. name)
  if earlier then
    local hash, earlier_id = string.match(earlier, '^(.*) (%S+)$')
    if hash ~= body_hash then
      return {'conflict'}
    end
    if earlier_id ~= id and redis.call('EXISTS', JOB .. earlier_id) == 1 then
      return {'earlier', redis.call('HGETALL', JOB .. earlier_id)}
    end
  end
end
if redis.call('EXISTS', JOB .. id) == 1 then
  return reply(id) -- the answer to this submit was lost, and the client library asked again
end

-- The bound is each model's own: a backlog that no worker takes shuts out no other model.
if count_waiting(model) >= MAX_WAITING then
  tidy(t)
  local count = count_waiting(model)
  if count >= MAX_WAITING then
    local pace = redis.call('GET', PACE .. model) or ''
    return {'full', count, pace, redis.call('ZCARD', LEASES .. model)}
  end
end

-- The first write: refused as a whole when memory is short, see insist() in _common.lua.
local order = redis.call('INCR', ORDER)
local key = stream(model, priority)
if redis.call('EXISTS', key) == 0 then
  redis.call('XGROUP', 'CREATE', key, GROUP, '0', 'MKSTREAM')
end
local entry = redis.call('XADD', key, '*', 'job', id)
redis.call('SADD', MODELS, model)
redis.call('HSET', JOB .. id, 'id', id, 'request', request, 'owner', owner, 'model', model,
  'priority', priority, 'state', 'queued', 'created_at', stamp(t), 'attempt', 0, 'fence', 0,
  'entry', entry, 'order', order)
redis.call('ZADD', waiting(model, priority), stamp(t), id)
redis.call('ZADD', OWNER .. owner, order, id)
if deadline_s ~= '' then
  local deadline_at = stamp(t + tonumber(deadline_s))
  redis.call('HSET', JOB .. id, 'deadline_at', deadline_at)
  redis.call('ZADD', DEADLINES, deadline_at, id)
end
if name ~= '' then
  redis.call('SET', IDEMPOTENCY .. name, body_hash .. ' ' .. id, 'PX', ms(IDEMPOTENCY_S))
end
emit(id, 'state', {state = 'queued'})
ring(model)
tidy(t)
return reply(id)
