-- ARGV: id, fence. The fence is not taken back with the attempt: this lease is over for good.
local id, fence = ARGV[A + 1], ARGV[A + 2]
local job = read(id)
if repeated(job, fence, 'queued') or repeated(job, fence, 'canceled') then
  return {'ok'}
end
if not owned(job, fence) then
  return {'stale'}
end
local t = now()
insist()
if job.cancel == '1' then
  finalise(id, job, 'canceled', t)
elseif past(job, t) then
  fail_late(id, job, t)
else
  requeue(id, job, t, 0, {'attempt', tonumber(job.attempt) - 1})
end
return {'ok'}
