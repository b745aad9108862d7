-- ARGV: id, fence, artifacts, metrics, progress
local id, fence = ARGV[A + 1], ARGV[A + 2]
local job = read(id)
if repeated(job, fence, 'succeeded') then
  return {'ok'}
end
if not owned(job, fence) then
  return {'stale'}
end
local t = now()
insist()
finalise(id, job, 'succeeded', t,
  {'artifacts', ARGV[A + 3], 'metrics', ARGV[A + 4], 'progress', ARGV[A + 5]})
local ran = t - tonumber(job.started_at)
local pace = tonumber(redis.call('GET', PACE .. job.model) or ran)
redis.call('SET', PACE .. job.model, stamp(0.8 * pace + 0.2 * ran))
return {'ok'}
