-- ARGV: id, request, owner, priority, deadline_s or '', idempotency name or '', body hash
local id, request, owner, priority = ARGV[A + 1], ARGV[A + 2], ARGV[A + 3], ARGV[A + 4]
local deadline_s, name, body_hash = ARGV[A + 5], ARGV[A + 6], ARGV[A + 7]
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

local function waiting()
  return redis.call('ZCARD', REQUEUED) + redis.call('ZCARD', WAITING.high)
    + redis.call('ZCARD', WAITING.normal) + redis.call('ZCARD', WAITING.low)
end
if waiting() >= MAX_WAITING then
  tidy(t)
  if waiting() >= MAX_WAITING then
    return {'full', waiting(), redis.call('GET', PACE) or '', redis.call('ZCARD', LEASES)}
  end
end

-- The first write: refused as a whole when memory is short, see insist() in _common.lua.
local order = redis.call('INCR', ORDER)
if redis.call('EXISTS', STREAM[priority]) == 0 then
  redis.call('XGROUP', 'CREATE', STREAM[priority], GROUP, '0', 'MKSTREAM')
end
local entry = redis.call('XADD', STREAM[priority], '*', 'job', id)
redis.call('HSET', JOB .. id, 'id', id, 'request', request, 'owner', owner, 'priority', priority,
  'state', 'queued', 'created_at', stamp(t), 'attempt', 0, 'fence', 0, 'entry', entry, 'order', order)
redis.call('ZADD', WAITING[priority], stamp(t), id)
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
ring()
tidy(t)
return reply(id)
