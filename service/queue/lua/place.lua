-- ARGV: id. Returns {jobs ahead, seconds per job or '', live workers, running jobs}. Ageing is not
-- counted in: a `low` job may start sooner than its place says.
local id = ARGV[A + 1]
local job = read(id)
if not job then
  return absent(id)
end
if job.state ~= 'queued' then
  return {'none'}
end
local ahead = redis.call('ZRANK', REQUEUED, id)
if not ahead then
  ahead = redis.call('ZCARD', REQUEUED)
  for _, priority in ipairs(PRIORITIES) do
    if priority == job.priority then break end
    ahead = ahead + redis.call('ZCARD', WAITING[priority])
  end
  ahead = ahead + (redis.call('ZRANK', WAITING[job.priority], id) or 0)
end
local workers = redis.call('ZCOUNT', WORKERS, stamp(now() - WORKER_TTL_S), '+inf')
return {'ok', ahead, redis.call('GET', PACE) or '', workers, redis.call('ZCARD', LEASES)}
