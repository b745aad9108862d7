-- ARGV: id
local id = ARGV[A + 1]
local job = read(id)
if not job then
  return absent(id)
end
if final(job) then
  return {'final', job.state}
end
local t = now()
insist()
if job.state == 'queued' and past(job, t) then
  finalise(id, job, 'expired', t)
  return {'final', 'expired'}
end
if job.state == 'queued' then
  finalise(id, job, 'canceled', t, {'cancel', '1'})
else
  redis.call('HSET', JOB .. id, 'cancel', '1')
end
return reply(id)
