-- ARGV: id. Brings a job to its end when only the clock stands between: queued past its deadline,
-- or running with a dead worker and nothing to run it for. So states are right with no worker up.
local id = ARGV[A + 1]
local job = read(id)
if not job then
  return absent(id)
end
local t = now()
if job.state == 'queued' and past(job, t) then
  insist()
  finalise(id, job, 'expired', t)
elseif job.state == 'running' then
  local ends = redis.call('ZSCORE', LEASES .. job.model, id)
  if not ends or tonumber(ends) <= t then
    insist()
    settle_lost(id, job, t)
  end
end
return reply(id)
